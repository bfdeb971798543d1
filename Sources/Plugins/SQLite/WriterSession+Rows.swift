import ParleyRuntime

/// Rows of calls, inside a transaction.
extension WriterSession {
  /// Takes the next calls, as many as one statement adds, and stores them. Each is in the slice's results then, also
  /// where this throws.
  mutating func storeNext(
    of rest: inout ArraySlice<PostCall>, storedAt: Int64, timestamp: String, _ slice: inout Slice
  ) throws(SQLiteFailure) {
    var calls: [PostCall] = []
    while calls.count < Self.rowsAtOnce, let call = rest.first, calls.isEmpty || isPlain(call) {
      rest.removeFirst()
      guard call.take() else { continue }
      calls.append(call)
      if !isPlain(call) { break }
    }
    if try storeTogether(calls, storedAt: storedAt, timestamp: timestamp, &slice) { return }
    for (index, call) in calls.enumerated() {
      do throws(SQLiteFailure) {
        let (result, row) = try store(call.request, storedAt: storedAt, timestamp: timestamp)
        slice.results.append((call, result))
        if let row, case .success(let receipt) = result {
          slice.stored.append(
            StoredRow(id: row, call: call, receipt: receipt, storedAt: storedAt, timestamp: timestamp))
        }
      } catch {
        fail(calls[index...], error, &slice)
        throw error
      }
    }
  }

  private func fail(_ calls: ArraySlice<PostCall>, _ error: SQLiteFailure, _ slice: inout Slice) {
    for call in calls { slice.results.append((call, .failure(error.seamError("post")))) }
  }

  /// It can meet no row that has its key.
  private func isPlain(_ call: PostCall) -> Bool { !call.request.isRetry && !call.request.draft.key.isChosen }

  /// Adds as many rows as one statement does; false, with nothing done, where there are fewer calls or one of them is at
  /// fault.
  private mutating func storeTogether(
    _ calls: [PostCall], storedAt: Int64, timestamp: String, _ slice: inout Slice
  ) throws(SQLiteFailure) -> Bool {
    guard calls.count == Self.rowsAtOnce else { return false }
    do throws(SQLiteFailure) {
      if insertMany == nil { insertMany = try MessageInsert(connection, count: Self.rowsAtOnce) }
      try insertMany?.run(calls.map(\.request.draft), storedAt: storedAt, timestamp: timestamp)
    } catch {
      // One row is at fault, and is found where they are stored one by one: the statement has left none of them.
      if error.isRowsFault { return false }
      fail(calls[...], error, &slice)
      throw error
    }
    // Numbers of one statement follow one another: nobody else writes meanwhile.
    let first = connection.lastInsertedID - Int64(calls.count) + 1
    for (index, call) in calls.enumerated() {
      let id = first + Int64(index)
      let receipt = receipt(id, storedAt, isDuplicate: false)
      slice.results.append((call, .success(receipt)))
      slice.stored.append(StoredRow(id: id, call: call, receipt: receipt, storedAt: storedAt, timestamp: timestamp))
    }
    return true
  }

  /// The outcome, and the row that is new.
  private mutating func store(
    _ order: PostOrder, storedAt: Int64, timestamp: String
  ) throws(SQLiteFailure) -> (Result<Receipt, SeamError>, row: Int64?) {
    let draft = order.draft
    if order.isRetry, let found = try earlier(draft, by: findNonce) { return (found, nil) }
    do throws(SQLiteFailure) {
      try insert.run(draft, storedAt: storedAt, timestamp: timestamp)
    } catch {
      if error.isKeyTaken {
        let gone = SeamError(.corrupt, operation: "post", cause: "the key index names a row that is not there")
        return (try earlier(draft, by: findKey) ?? .failure(gone), nil)
      }
      // The one row is at fault (too big); the transaction is still whole.
      guard error.isRowsFault else { throw error }
      return (.failure(error.seamError("post")), nil)
    }
    let row = connection.lastInsertedID
    return (.success(receipt(row, storedAt, isDuplicate: false)), row)
  }

  /// The row that has the draft's key already: the same post, or another with a reused key.
  private func earlier(
    _ draft: Draft, by find: borrowing SQLiteStatement
  ) throws(SQLiteFailure) -> Result<Receipt, SeamError>? {
    find.bind(draft.topic.name, at: 1)
    find.bind(draft.key.isChosen ? draft.author.keyScope : draft.author.instance, at: 2)
    find.bind(draft.key.text, at: 3)
    defer { find.reset() }
    guard try find.step(), let id = find.integer(0) else { return nil }
    let isSame =
      ExactText(find.text(1)) == ExactText(draft.content)
      && ExactText(find.text(2)) == ExactText(draft.inReplyTo?.text)
      && ExactText(find.text(3)) == ExactText(draft.to?.name)
      && ExactText(find.text(4)) == ExactText(MessageInsert.text(of: draft.attributes))
    guard isSame else {
      return .failure(
        SeamError(
          .keyReused, operation: "post",
          cause: "the key '\(draft.key.text)' stands for message \(id), which has other content"))
    }
    let storedAt = find.integer(5) ?? find.text(6).flatMap(Timestamp.milliseconds) ?? 0
    return .success(receipt(id, storedAt, isDuplicate: true))
  }

  private func receipt(_ id: Int64, _ storedAt: Int64, isDuplicate: Bool) -> Receipt {
    let (text, cursor) = facts.names(of: id)
    return Receipt(id: text, cursor: cursor, storedAt: storedAt, durability: durability, isDuplicate: isDuplicate)
  }
}
