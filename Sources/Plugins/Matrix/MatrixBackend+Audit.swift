import ParleyRuntime

extension MatrixBackend {
  private static let depth = 100

  /// Looks through a topic's newest messages every `auditInterval`, for as long as it is followed.
  func scheduleAudit(of feed: Feed) {
    feed.auditTimer = loop.schedule(after: options.auditInterval) { [weak self, weak feed] in
      guard let self, let feed, !feed.isOver else { return }
      loop.spawn {
        await self.audit(feed)
        await self.auditAgain(feed)
      }
    }
  }

  private func auditAgain(_ feed: Feed) {
    if !feed.isOver { scheduleAudit(of: feed) }
  }

  /// Finds messages that stand among those delivered, but were never announced: federated servers may let events arrive
  /// late, and /sync has been seen to pass over some (matrix-org/synapse#16463). They are delivered marked `late`.
  private func audit(_ feed: Feed) async {
    let epoch = epoch
    let missed = await missed(of: feed)
    guard !missed.isEmpty else { return }
    // What arrived this moment is on its way by /sync; what is not here in a while never will be.
    await loop.sleep(for: min(.seconds(5), options.auditInterval))
    guard epoch == self.epoch, !feed.isOver else { return }
    for id in liveSubscriptions(of: feed.topic) {
      for entry in missed[id] ?? [] where subscriptions[id]?.state == .live {
        giveLate(entry.message, to: id)
      }
    }
  }

  private func missed(of feed: Feed) async -> [SubscriptionID: [EventReader.Entry]] {
    guard let room = rooms[feed.topic], let reader = session?.reader else { return [:] }
    let deadline = loop.now.advanced(by: options.requestTimeout)
    guard let page = try? await history(of: room, from: nil, backwards: true, limit: Self.depth, deadline) else {
      return [:]
    }
    let ascending = page.events.reversed().compactMap { reader.entry($0, in: room) }
    guard let entries = try? await withoutCopies(ascending, in: room, deadline: deadline) else { return [:] }
    var missed: [SubscriptionID: [EventReader.Entry]] = [:]
    for id in liveSubscriptions(of: feed.topic) {
      guard let delivered = subscriptions[id]?.delivered else { continue }
      // What stands before everything this subscription got may lie before its start.
      guard let first = entries.firstIndex(where: { delivered[$0.id] == true }) else { continue }
      missed[id] = entries[first...].filter { delivered[$0.id] != true }
    }
    return missed.filter { !$0.value.isEmpty }
  }

  /// Its cursor is the subscription's own: going on from there neither loses nor repeats anything.
  private func giveLate(_ message: Message, to id: SubscriptionID) {
    guard let subscription = subscriptions[id], subscription.delivered[message.id.text] != true else { return }
    subscriptions[id]?.delivered[message.id.text] = true
    var late = message
    late.isLate = true
    late.cursor = subscription.cursor
    if subscription.sink(.message(late)) == .pause { subscriptions[id]?.state = .paused }
  }
}
