import ParleyRuntime

/// Records that the processes of several hosts share, in a cell that changes in one step. Confined to the loop.
///
/// What another process changed is told by the cell, usually within a millisecond, and known here from then on. Whoever
/// needs to be sure that nothing newer is there asks by `refresh`. While the cell is away what is known goes on for
/// `patience`; then nobody is known, and callers are told to come again.
//
// @unchecked: confined to the loop's thread.
package final class SharedAuthStore: AuthStore, @unchecked Sendable {
  /// How long what is known counts without word from the cell: as long a revocation may go unnoticed.
  private static let patience: Duration = .seconds(30)
  /// Changes of others may come first; so many in a row do not.
  private static let attempts = 64

  package let key: ServerKey
  private let loop: EventLoop
  private let cell: any RecordCell
  private var known = AuthState()
  private var number = 0
  /// Why the records that are there cannot be used; nothing is written over them.
  private var problem: SeamError?
  /// Since when the cell is away; nil while it is there.
  private var awaySince: LoopInstant?
  private var life: Task<Void, Never>?

  /// A store on a cell; nothing is connected before `start`.
  package init(loop: EventLoop, cell: any RecordCell, key: ServerKey) {
    self.loop = loop
    self.cell = cell
    self.key = key
  }

  // MARK: Life

  /// Connects, reads and follows from then on. Throws where the cell cannot be used, and where its records are of
  /// another key.
  package func start(isolation: isolated (any Actor)? = #isolation) async throws(AuthStoreError) {
    do throws(SeamError) {
      try await cell.connect()
      let content = try await cell.read()
      try take(content)
    } catch {
      await cell.disconnect()
      throw AuthStoreError("auth.store: \(error)")
    }
    life = loop.spawn { [self] in await follow() }
  }

  /// Ends following, and the connection.
  package func stop(isolation: isolated (any Actor)? = #isolation) async {
    life?.cancel()
    await cell.disconnect()
    await life?.value
  }

  private func follow() async {
    var pause = Duration.milliseconds(100)
    var isConnected = true
    while !Task.isCancelled {
      do throws(SeamError) {
        if !isConnected {
          try await cell.connect()
          isConnected = true
          try await read()
          Log.write(.notice, "the auth store is there again", [("store", cell.location)])
        }
        awaySince = nil
        pause = .milliseconds(100)
        while !Task.isCancelled {
          if let content = try await cell.newer(than: number, waits: true) { try take(content) }
        }
      } catch {
        await cell.disconnect()
        guard !Task.isCancelled else { return }
        if awaySince == nil {
          awaySince = loop.now
          Log.write(.error, "the auth store is away", [("store", cell.location), ("cause", error.description)])
        }
        isConnected = false
        await loop.sleep(for: pause)
        pause = min(pause + pause, .seconds(2))
      }
    }
  }

  // MARK: Reading

  package func state() -> AuthState { isCurrent ? known : AuthState() }

  package var isCurrent: Bool { awaySince.map { $0.advanced(by: Self.patience) > loop.now } ?? true }
  package var canBeBehind: Bool { true }

  package func refresh() async throws(AuthStoreError) {
    do throws(SeamError) {
      if let content = try await cell.newer(than: number, waits: false) { try take(content) }
    } catch { throw AuthStoreError("auth.store: \(error)") }
  }

  /// What is there now, whatever was known.
  private func read() async throws(SeamError) {
    let before = number
    let content = try await cell.read()
    // Numbers only grow: what is lower than what was there before the question is not what was there.
    if content.number < before {
      Log.write(.error, "the auth store went back: changes are lost", [("store", cell.location)])
      number = -1
    }
    try take(content)
  }

  /// What was read is what is known, unless something newer came while it was on its way. Throws where it cannot be used:
  /// then nobody is known.
  private func take(_ content: RecordCell.Content) throws(SeamError) {
    guard content.number > number || problem != nil else { return }
    let earlier = problem
    (number, known, problem) = (content.number, AuthState(), nil)
    do throws(AuthStoreError) {
      let records = try SealedRecords(Array(content.text.utf8), at: cell.location, key: key)
      guard records.refused == 0 || records.state != AuthState() else {
        throw AuthStoreError(
          "all records are of another key; the file of auth.store_key must be the same for all processes")
      }
      known = records.state
    } catch {
      let failure = SeamError(.forbidden, operation: "read \(cell.location)", cause: error.description)
      if failure != earlier { Log.write(.error, "the auth store cannot be used", [("cause", failure.description)]) }
      problem = failure
      throw failure
    }
  }

  // MARK: Changing

  /// Each attempt is computed from what is known, and counts only where that is still there: a change by what was there
  /// when it is made, no change by what was read for it.
  package func change<Value: Sendable>(
    on loop: EventLoop, _ change: @escaping @Sendable (inout AuthState) -> Value
  ) async throws(AuthStoreError) -> Value {
    do throws(SeamError) {
      for attempt in 0..<Self.attempts {
        if attempt > 0 || problem != nil { try await read() }
        let (base, before) = (number, known)
        var state = before
        let value = change(&state)
        if state == before {
          if attempt > 0 { return value }
          continue
        }
        let text = String(decoding: SealedRecords.bytes(of: state, key: key), as: UTF8.self)
        guard try await cell.replace(base, with: text) else { continue }
        // Word of it, or of what came after it, may have been here first.
        if number == base { (number, known) = (base + 1, state) }
        return value
      }
      throw SeamError(.unavailable, operation: "change \(cell.location)", cause: "others changed it all the time")
    } catch { throw AuthStoreError("auth.store: \(error)") }
  }
}
