import ParleyRuntime

/// How a state begins: with what the last run left, or with the log.
extension FoldedLog {
  /// What a state begins with.
  struct Beginning {
    var fold: Fold
    var checkpoint: Message?
    /// What the fold has not yet, in log order.
    var events: [Message] = []
    /// The newest messages whole, with the place before them; never none where there are events.
    var newest: [Message] = []
    var anchor: Cursor?
    /// The end of the log.
    var end: Cursor
    /// Messages that were read.
    var count: Int
  }

  /// The account is known from the first connection on, so it is asked for behind a read.
  private func emptyFold() async -> Fold {
    var fold = makeFold()
    fold.setAccount(await hub.supervisor.traits.account)
    return fold
  }

  /// What the state stands on: the newest checkpoint and what came after its place, or the events of the window; all in
  /// log order. With them the newest page whole, and the end of the log.
  func history() async throws(HubError) -> Beginning {
    let since = oldest
    var page = try await hub.fetchUnchecked(FetchRequest(topic, .latest, limit: pageLimit))
    var fold = await emptyFold()
    let newest = page.messages
    // A message's own cursor, where there is one: a checkpoint's `through` is looked for among them.
    let end = newest.last?.cursor ?? page.next
    var count = newest.count
    var pages: [[Message]] = []
    var checkpoint: Message?
    var through: Cursor?
    while true {
      var start = 0
      for (index, message) in page.messages.enumerated().reversed() {
        if message.cursor == through {
          start = index + 1
          break
        }
        if through == nil, let place = fold.through(of: message) { (checkpoint, through) = (message, place) }
      }
      pages.append(page.messages[start...].filter(Fold.concerns))
      guard start == 0, let previous = page.previous, let oldest = page.messages.first, oldest.storedAt >= since
      else { break }
      page = try await hub.fetchUnchecked(
        FetchRequest(topic, .before(previous, storedSince: since == .min ? nil : since), limit: pageLimit))
      count += page.messages.count
    }
    if let checkpoint { fold.restore(from: checkpoint) }
    return Beginning(
      fold: fold, checkpoint: checkpoint, events: pages.reversed().flatMap { $0 }, newest: newest, end: end,
      count: count)
  }

  /// Nothing stored before this is read.
  private var oldest: Int64 { window == .max ? .min : loop.wallClockMilliseconds + clockOffset - window }

  /// What the last run left, and what came after it; nil where there is nothing, or where the log does not go on from
  /// there.
  func continuation() async throws(HubError) -> Beginning? {
    guard let keeper, let kept = await left(by: keeper), kept.last.storedAt >= oldest else { return nil }
    var fold = await emptyFold()
    do throws(EventRefusal) {
      guard let state = try? JSONSlice(kept.state, limit: StateFileHandle.byteLimit) else { return nil }
      try fold.restore(kept: state, of: topic)
    } catch {
      return nil
    }
    var found = Beginning(fold: fold, anchor: kept.anchor, end: kept.anchor, count: 0)
    while true {
      let page: Page
      do throws(HubError) {
        page = try await hub.fetchUnchecked(FetchRequest(topic, .after(found.end), limit: pageLimit))
      } catch {
        if case .seam(let cause) = error, cause.code == .cursorInvalid { return nil }
        throw error
      }
      guard page.gap == nil else { return nil }
      if found.newest.isEmpty { guard kept.continues(with: page.messages.first) else { return nil } }
      found.newest += page.messages
      found.end = page.next
      guard page.hasMore else { break }
    }
    found.events = found.newest.dropFirst().filter(Fold.concerns)
    found.count = found.newest.count
    return found
  }

  private func left(by keeper: StateKeeper) async -> KeptState? {
    do throws(SystemError) {
      let outcome = try await loop.offload(named: "state", until: nil) { keeper.file.read(keeper.name) }
      return if case .value(let kept) = outcome { kept } else { nil }
    } catch {
      return nil
    }
  }
}
