import ParleyCoordination
import ParleyRuntime

extension Backchannel {
  /// Pages of the log that are read at a time.
  private static let page = 200

  /// Messages of a channel after a place, the oldest first; without one, from the oldest that still counts.
  func messages(_ channel: String, since: String?, limit: Int) async throws(Refusal) -> JSONValue {
    let topic = try await existing(channel).topic
    var listing: Listing
    do throws(HubError) {
      let (fold, now) = try await tasks.state(of: topic)
      listing = Listing(
        channel: channel, fold: fold, now: now, limit: limit, bytesLeft: hub.setup.limits.resultBytes - 2_000)
      if let since {
        try await read(topic, after: Cursor(since), into: &listing)
      } else {
        try await readAll(topic, into: &listing)
      }
    } catch {
      throw Refusal(backchannel: error)
    }
    var result: JSONObject = ["data": .array(listing.data), "limit": .int(Int64(limit))]
    result["next_cursor"] = .text(listing.next?.text)
    if let gap = listing.gap { result["gap"] = .string(gap) }
    return .object(result)
  }

  private func read(_ topic: Topic, after start: Cursor, into listing: inout Listing) async throws(HubError) {
    listing.next = start
    while true {
      let page = try await hub.fetchUnchecked(FetchRequest(topic, .after(listing.next ?? start), limit: Self.page))
      if let gap = page.gap { listing.gap = gap.reason }
      for message in page.messages {
        guard listing.take(message) else { return }
      }
      listing.next = page.next
      guard page.hasMore else { return }
    }
  }

  /// Nothing names the beginning of a log: reads back to what has expired, and keeps the oldest.
  private func readAll(_ topic: Topic, into listing: inout Listing) async throws(HubError) {
    let edge = listing.now - Self.lifetime.milliseconds
    var page = try await hub.fetchUnchecked(FetchRequest(topic, .latest, limit: Self.page))
    let end = page.next
    var oldest = page.messages.filter(listing.shows)
    while let previous = page.previous, let first = page.messages.first, first.storedAt >= edge {
      page = try await hub.fetchUnchecked(
        FetchRequest(topic, .before(previous, storedSince: edge), limit: Self.page))
      oldest = Array((page.messages.filter(listing.shows) + oldest).prefix(listing.limit + 1))
    }
    for message in oldest {
      guard listing.take(message) else { return }
    }
    listing.next = end
  }

  /// What one call gives, as it grows.
  struct Listing {
    let channel: String
    let fold: TaskFold
    let now: Int64
    let limit: Int
    var bytesLeft: Int
    var data: [JSONValue] = []
    /// Behind the last message that was looked at.
    var next: Cursor?
    var gap: String?

    /// Whether a message is one that is listed: what somebody said and has not expired, no word about a task.
    func shows(_ message: Message) -> Bool { shown(message) != nil }

    private func shown(_ message: Message) -> JSONValue? {
      if let task = fold.posted(by: message) {
        guard now < task.expiresAt else { return nil }
        return BackchannelMessage.task(task, channel: channel, at: now)
      }
      guard message.kind == nil, now < message.storedAt + Backchannel.lifetime.milliseconds else { return nil }
      return BackchannelMessage.plain(
        id: message.id, channel: channel, sender: message.sender, content: message.content,
        extra: message.attributes, at: message.storedAt)
    }

    /// Takes the next message of the log; false where it has to wait for the next call.
    mutating func take(_ message: Message) -> Bool {
      if let value = shown(message) {
        let size = value.text.utf8.count * 3
        guard data.count < limit, data.isEmpty || size <= bytesLeft else { return false }
        data.append(value)
        bytesLeft -= size
      }
      next = message.cursor
      return true
    }
  }
}
