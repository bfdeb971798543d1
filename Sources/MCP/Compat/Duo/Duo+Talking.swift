import ParleyCoordination
import ParleyRuntime

extension Duo {
  /// Unread messages of a conversation that are looked at, and pages of them.
  private static let unreadLimit = 1_000
  private static let pageLimit = 200

  // MARK: Talking

  /// What was said, and who heard it.
  struct Sent: Sendable {
    var conversation: Topic
    var message: MessageID
    /// Partners that listen, and that find it later.
    var notified: Int
    var queued: Int
  }

  /// Says something in a conversation, to one partner, or to the only other one.
  func talk(_ text: String, to: String?, conversation: String?) async throws(Refusal) -> Sent {
    guard !text.isBlank else { throw Refusal(422, "invalid_argument", "message must not be blank") }
    let (seat, fold, now) = try await current()
    let found: Conversation
    if let conversation {
      found = try await self.conversation(conversation, seat)
    } else {
      let partner = try Self.recipient(to, fold, seat)
      found = try await refusing { () throws(HubError) in
        try await seat.conversations.direct(with: Handle(partner), accounts: fold.accounts)
      }
    }
    let receipt = try await refusing { () throws(HubError) in
      try await seat.hub.post(PostRequest(topic: found.topic, content: text))
    }
    let others = found.state.members.keys.map(\.name).filter { $0 != seat.id }
    let item = DuoNotice.Item(
      message: receipt.id.text, sender: seat.id, conversation: found.state.isDirect ? nil : found.topic.name,
      at: receipt.storedAt ?? now, text: text)
    for other in others where !fold.isOnline(other, at: now) { await leaveWord(item, for: fold.partners[other]) }
    let notified = others.count { fold.isListening($0, at: now) }
    return Sent(
      conversation: found.topic, message: receipt.id, notified: notified, queued: others.count - notified)
  }

  private static func recipient(_ to: String?, _ fold: PartnerFold, _ seat: Seat) throws(Refusal) -> String {
    let others = fold.partners.keys.filter { $0 != seat.id }.sorted()
    let list = others.prefix(20).joined(separator: ", ")
    guard let to else {
      guard let only = others.first else {
        throw Refusal(404, "no_partner", "no other partner is registered")
      }
      guard others.count == 1 else {
        throw Refusal(422, "invalid_argument", "several partners are registered; say to whom: \(list)")
      }
      return only
    }
    guard to != seat.id else { throw Refusal(422, "invalid_argument", "to must be another partner, not yourself") }
    guard fold.partners[to] != nil else {
      throw Refusal(
        404, "unknown_recipient", "unknown recipient \"\(to)\"" + (list.isEmpty ? "" : "; there are: \(list)"))
    }
    return to
  }

  /// A conversation that this session is in.
  func conversation(_ id: String, _ seat: Seat) async throws(Refusal) -> Conversation {
    do throws(HubError) {
      return try await seat.conversations.conversation(Topic(id))
    } catch {
      guard case .refused("conversationUnknown", _) = error else { throw Refusal(error) }
      throw Refusal(404, "conversation_not_found", "Conversation not found, or you are not in it: \(id.prefix(128))")
    }
  }

  // MARK: Listening

  /// What one conversation has for this session.
  struct News: Sendable {
    var conversation: Conversation
    var messages: [Message]
  }

  /// How a listening call ended.
  enum Heard: Sendable {
    case messages([News])
    /// A later call has what comes.
    case reconnect
    case unregistered
    case timeout
  }

  /// Waits for messages, at most so many minutes; a later call ends this one.
  func listen(_ conversation: String?, minutes: Int) async -> Result<Heard, Refusal> {
    do throws(Refusal) {
      return .success(try await wait(conversation, minutes: minutes))
    } catch {
      return .failure(error)
    }
  }

  private func wait(_ conversation: String?, minutes: Int) async throws(Refusal) -> Heard {
    let seat = try await seated()
    if let conversation { _ = try await self.conversation(conversation, seat) }
    listening += 1
    let number = listening
    changes.resumeAll(())
    let end = loop.now.advanced(by: .seconds(60 * minutes))
    while true {
      let ticket = changes.ticket()
      let isLate = loop.now >= end
      guard number == listening else {
        changes.forget(ticket)
        return .reconnect
      }
      guard await isThere(seat) else {
        changes.forget(ticket)
        isAnnounced = false
        return .unregistered
      }
      if let news = try await take(number, seat, conversation) {
        changes.forget(ticket)
        await announce(false, seat)
        return .messages(news)
      }
      guard !isLate else {
        changes.forget(ticket)
        if number == listening { await announce(false, seat) }
        return .timeout
      }
      await announce(true, seat)
      if case .cancelled = await changes.wait(ticket, until: end) {
        if number == listening { await announce(false, seat) }
        throw Refusal(499, "cancelled", "the call was cancelled")
      }
    }
  }

  /// Gives what is unread, which counts as read from then on; nil where there is nothing, or a later call will have it.
  private func take(_ number: Int, _ seat: Seat, _ conversation: String?) async throws(Refusal) -> [News]? {
    let news = try await unread(seat, only: conversation)
    guard number == listening, !news.isEmpty else { return nil }
    for found in news {
      guard let last = found.messages.last else { continue }
      try await refusing { () throws(HubError) in
        try await seat.marks.mark(found.conversation.topic, at: last.cursor, storedAt: last.storedAt)
      }
    }
    return news
  }

  private func announce(_ isOn: Bool, _ seat: Seat) async {
    guard isOn != isAnnounced else { return }
    isAnnounced = isOn
    do throws(Refusal) {
      try await say(.listening(id: seat.id, isOn: isOn, session: session))
    } catch {
      Log.write(.info, "the partners were not told who listens", [("cause", error.reason)])
    }
  }

  /// What others said that this session has not been given, by conversation.
  func unread(_ seat: Seat, only conversation: String? = nil) async throws(Refusal) -> [News] {
    let marks = await seat.marks.marks
    var bytesLeft = hub.setup.limits.resultBytes
    var all: [News] = []
    let conversations = try await refusing { () throws(HubError) in try await seat.conversations.list() }
    for found in conversations where conversation == nil || found.topic.name == conversation {
      let messages = try await unread(in: found, after: marks[found.topic], seat)
      var given: [Message] = []
      for message in messages {
        let size = message.content.utf8.count + 64
        guard given.isEmpty && all.isEmpty || size <= bytesLeft else { break }
        bytesLeft -= size
        given.append(message)
      }
      if !given.isEmpty { all.append(News(conversation: found, messages: given)) }
    }
    return all.sorted {
      ($0.messages[0].storedAt, $0.conversation.topic) < ($1.messages[0].storedAt, $1.conversation.topic)
    }
  }

  private func unread(in conversation: Conversation, after mark: Cursor?, _ seat: Seat) async throws(Refusal)
    -> [Message]
  {
    let topic = conversation.topic
    let since = conversation.state.members[Handle(seat.id)]?.since ?? 0
    return try await refusing { () throws(HubError) in
      var messages: [Message] = []
      if let mark {
        var place = mark
        while messages.count < Self.unreadLimit {
          let page = try await hub.fetchUnchecked(FetchRequest(topic, .after(place), limit: Self.pageLimit))
          messages += page.messages
          place = page.next
          guard page.hasMore else { break }
        }
      } else {
        // Nothing was read yet: everything since this partner is in it.
        var page = try await hub.fetchUnchecked(FetchRequest(topic, .latest, limit: Self.pageLimit))
        messages = page.messages
        while let previous = page.previous, let oldest = page.messages.first, oldest.storedAt >= since,
          messages.count < Self.unreadLimit
        {
          page = try await hub.fetchUnchecked(FetchRequest(topic, .before(previous), limit: Self.pageLimit))
          messages = page.messages + messages
        }
      }
      return messages.filter {
        $0.kind == nil && $0.sender.name != seat.id && (conversation.state.isDirect || $0.storedAt >= since)
      }
    }
  }

  // MARK: Looking

  func listPartners() async throws(Refusal) -> String {
    let (seat, fold, now) = try await current()
    return DuoText.partners(
      fold.partners.values.sorted { ($1.lastSeen, $0.id) < ($0.lastSeen, $1.id) }, fold, at: now, me: seat.id)
  }

  /// The conversations that this partner is in, and what it has not read there; those begun last first.
  func listConversations() async throws(Refusal) -> (me: String, all: [(conversation: Conversation, unread: Int)]) {
    let seat = try await seated()
    let found = try await refusing { () throws(HubError) in try await seat.conversations.list() }
    var all: [(Conversation, Int)] = []
    let marks = await seat.marks.marks
    for conversation in found {
      all.append((conversation, try await unread(in: conversation, after: marks[conversation.topic], seat).count))
    }
    return (seat.id, all)
  }

  /// The newest messages, the oldest of them first.
  func history(
    _ id: String, limit: Int
  ) async throws(Refusal) -> (me: String, conversation: Conversation, messages: [Message]) {
    let seat = try await seated()
    let found = try await conversation(id, seat)
    var messages: [Message] = []
    var place: Cursor?
    repeat {
      let page = try await refusing { () throws(HubError) in
        try await seat.conversations.history(of: found.topic, before: place, limit: Self.pageLimit)
      }
      messages = page.messages.filter { $0.kind == nil } + messages
      place = page.previous
    } while place != nil && messages.count < limit
    return (seat.id, found, Array(messages.suffix(limit)))
  }

  // MARK: Groups and settings

  func create(_ name: String, participants: [String]) async throws(Refusal) -> Conversation {
    let (seat, fold, _) = try await current()
    let others = participants.filter { $0 != seat.id }
    guard !others.isEmpty else { throw Refusal(422, "invalid_argument", "participants must name another partner") }
    for other in others where fold.partners[other] == nil {
      throw Refusal(404, "unknown_recipient", "Partner \"\(other.prefix(128))\" not found")
    }
    return try await refusing { () throws(HubError) in
      try await seat.conversations.create(
        name: name, members: others.map { Handle($0) }, accounts: fold.accounts)
    }
  }

  /// Leaves a group; true where nobody is in it any more.
  func leave(_ id: String) async throws(Refusal) -> Bool {
    let seat = try await seated()
    let found = try await conversation(id, seat)
    guard !found.state.isDirect else {
      throw Refusal(400, "conversation_direct", "Cannot leave a direct conversation")
    }
    return try await refusing { () throws(HubError) in try await seat.conversations.leave(found.topic) }
  }

  /// Says what the partner is doing, and returns it; empty for nothing any more.
  @discardableResult
  func setStatus(_ text: String?) async throws(Refusal) -> String {
    let text = (text ?? "").trimmed
    guard text.utf8.count <= PartnerEvent.statusBytes, VisibleText.visible(text, keepsLines: false) == text else {
      throw Refusal(
        422, "invalid_argument",
        "message must be one line of at most \(PartnerEvent.statusBytes) bytes without control characters")
    }
    let seat = try await seated()
    try await say(.status(id: seat.id, text: text, session: session))
    return text
  }
}
