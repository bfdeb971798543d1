import ParleyCoordination
import ParleyRuntime

/// Hand-over of tasks by channels, as the Backchannel system's tools do it, over tasks and topics.
///
/// A channel that is a configured topic is that topic; every other is a topic below the prefix. A message's id is the
/// task's where it can be claimed.
package actor Backchannel: LoopActor {
  /// How the set works.
  package struct Options: Sendable {
    /// What the topics of channels begin with.
    package var prefix = "backchannel/"
    /// Events that one session may write in a minute; 0 for no limit.
    package var writesPerMinute = 120
    /// Makes a key whose handle is a label; nil where this process gives none out.
    package var issueKey: (@Sendable (_ label: String) async -> Result<JSONValue, Refusal>)?

    package init() {}
  }

  /// Content of a message, in bytes of UTF-8.
  static let contentBytes = 10_000
  /// Characters of a channel's name.
  static let nameCharacters = 200
  /// How long a message is shown.
  static let lifetime: Duration = TaskPost.defaultLifetime
  /// Claims that this session remembers.
  static let claims = 10_000
  /// Attributes of the messages.
  static let metadataName = "x-metadata"
  static let actorName = "x-actor"

  /// A claim of this session.
  struct Held: Sendable {
    var actor: String
    var fence: MessageID
    var isAcknowledged = false
  }

  package nonisolated let loop: EventLoop
  nonisolated let hub: Hub
  nonisolated let options: Options
  let tasks: Tasks
  let directory: FoldedLog<BackchannelDirectory>
  let names: NameRules
  private var writes: WriteLimit
  /// Channels that the directory is being told of.
  private var opening: [String: Task<Result<Void, Refusal>, Never>] = [:]
  var held: [TaskID: Held] = [:]

  init(hub: Hub, names: NameRules, options: Options) {
    loop = hub.loop
    self.hub = hub
    self.names = names
    self.options = options
    let prefix = options.prefix
    tasks = Tasks(hub: hub) { $0.name.hasPrefix(prefix) }
    // The prefix alone is no channel's topic, since no name is empty.
    directory = FoldedLog(hub: hub, topic: Topic(prefix), window: 1 << 42) { BackchannelDirectory() }
    writes = WriteLimit(perMinute: options.writesPerMinute)
  }

  func stop() async {
    await tasks.stop()
    await directory.stop()
  }

  // MARK: Channels

  /// Whether a text can be the name of a channel.
  static func isName(_ text: String) -> Bool {
    text.unicodeScalars.contains { !$0.properties.isWhitespace } && text.count <= nameCharacters
      && VisibleText.visible(text, keepsLines: false) == text
  }

  /// The topic of a channel.
  func topic(of channel: String) throws(Refusal) -> Topic {
    guard Self.isName(channel) else {
      throw Refusal(
        422, "invalid_channel_name",
        "channel must be 1 to \(Self.nameCharacters) characters, none of them a control or invisible one")
    }
    if isConfigured(channel) { return Topic(channel) }
    let topic = Topic(options.prefix + channel)
    let limit = hub.setup.limits.topicBytes
    guard topic.name.utf8.count <= limit else {
      throw Refusal(422, "invalid_channel_name", "channel is too long: its topic has at most \(limit) bytes")
    }
    return topic
  }

  func isConfigured(_ channel: String) -> Bool { hub.setup.topics.contains(Topic(channel)) }

  /// The topic of a channel that is in use.
  func existing(_ channel: String) async throws(Refusal) -> (topic: Topic, isClaimable: Bool) {
    let topic = try topic(of: channel)
    if isConfigured(channel) { return (topic, true) }
    if let known = try await known(channel, claimable: true) { return (topic, known.isClaimable) }
    throw Refusal(404, "channel_not_found", "there is no channel '\(channel)'")
  }

  /// What the directory says of a channel; asked anew where it does not say enough.
  private func known(_ channel: String, claimable: Bool) async throws(Refusal) -> BackchannelDirectory.Channel? {
    try await refusing { () throws(HubError) in try await directory.load() }
    if let found = await directory.state[channel], found.isClaimable || !claimable { return found }
    try await refusing { () throws(HubError) in try await directory.catchUp(until: deadline) }
    return await directory.state[channel]
  }

  /// Tells the directory of a channel that it does not know yet.
  func open(_ channel: String, claimable: Bool) async throws(Refusal) -> Topic {
    let topic = try topic(of: channel)
    if isConfigured(channel) { return topic }
    if let found = try await known(channel, claimable: claimable), found.isClaimable || !claimable { return topic }
    let (content, attributes) = BackchannelDirectory.event(channel, isClaimable: claimable)
    // Calls at the same time share the event.
    let task = opening[content] ?? loop.spawn { await self.announce(content, attributes) }
    opening[content] = task
    try await task.value.get()
    return topic
  }

  private func announce(_ content: String, _ attributes: Attributes) async -> Result<Void, Refusal> {
    defer { opening[content] = nil }
    do throws(HubError) {
      let receipt = try await hub.postUnchecked(
        PostRequest(topic: directory.topic, content: content, attributes: attributes))
      _ = await directory.outcome(of: receipt.id, until: deadline)
      return .success(())
    } catch {
      return .failure(Refusal(error))
    }
  }

  var deadline: LoopInstant { loop.now.advanced(by: hub.setup.patience) }

  /// The channels, the newest first.
  func channels(limit: Int, after cursor: String?) async throws(Refusal) -> JSONValue {
    try await refusing { () throws(HubError) in
      try await directory.load()
      try await directory.catchUp(until: deadline)
    }
    let configured = hub.setup.topics.map {
      BackchannelDirectory.Channel(name: $0.name, isClaimable: true, createdAt: 0)
    }
    let all = Array(await directory.state.channels.reversed()) + configured
    var rest = all[...]
    if let cursor {
      guard let place = all.firstIndex(where: { $0.name == cursor }) else {
        throw Refusal(422, "invalid_cursor", "cursor is none that list_channels gave")
      }
      rest = all[(place + 1)...]
    }
    let page = rest.prefix(limit)
    return [
      "data": .array(page.map(BackchannelMessage.channel)), "limit": .int(Int64(limit)),
      "next_cursor": .text(rest.count > page.count ? page.last?.name : nil),
    ]
  }

  // MARK: Writing

  func countWrite() throws(Refusal) { try writes.take(at: loop.now) }

  /// The content of a post as it is stored.
  static func content(_ text: String) throws(Refusal) -> String {
    let kept = text.trimmed
    guard !kept.isEmpty else { throw Refusal(422, "invalid_content", "content must not be blank") }
    guard kept.utf8.count <= contentBytes else {
      throw Refusal(
        422, "content_too_large",
        "content has \(kept.utf8.count) bytes (received_bytes), at most \(contentBytes) are allowed (max_content_bytes)"
      )
    }
    return kept
  }

  /// What goes along with a post.
  func extra(metadata: JSONValue?, label: String?) throws(Refusal) -> Attributes {
    var extra: Attributes = [:]
    if let metadata {
      let text = metadata.text
      // What the task's own attributes take stays free.
      let limit = hub.setup.limits.attributesBytes - 1_024
      guard text.utf8.count <= limit else {
        throw Refusal(
          422, "metadata_too_large", "metadata has \(text.utf8.count) bytes as JSON, at most \(limit) are allowed")
      }
      extra[Self.metadataName] = text
    }
    if let label {
      try names.checkClaim(label, "actor_label")
      extra[Self.actorName] = label
    }
    return extra
  }

  /// Posts what somebody can claim.
  func postTask(_ channel: String, _ content: String, extra: Attributes, key: String?) async throws(Refusal)
    -> JSONValue
  {
    let topic = try await open(channel, claimable: true)
    let title = Self.title(of: content)
    var post = TaskPost(topic: topic, title: title, body: title == content ? nil : content, lifetime: Self.lifetime)
    post.key = key
    post.extra = extra
    let task: TaskRecord
    do throws(HubError) {
      task = try await tasks.post(post).task
    } catch {
      throw Refusal(backchannel: error)
    }
    let message = BackchannelMessage.task(task, channel: channel, at: task.postedAt)
    return [
      "channel": .string(channel), "message_id": .string(task.id.text),
      "envelope": ["message": message, "next_cursor": .text(await cursor(of: task.message, on: topic))],
    ]
  }

  /// The first line, as far as a title may go.
  private static func title(of content: String) -> String {
    let line = content.prefix { !$0.isNewline }
    let visible = VisibleText.visible(String(line), keepsLines: false)
    guard visible.utf8.count > 256 else { return visible.isBlank ? "task" : visible }
    return (ChannelText.cut(visible, to: 250) ?? visible) + "…"
  }

  /// Posts what everyone may read and nobody can claim.
  func broadcast(_ channel: String, _ content: String, extra: Attributes, key: String?) async throws(Refusal)
    -> JSONValue
  {
    let topic = try await open(channel, claimable: false)
    let receipt: Receipt
    do throws(HubError) {
      receipt = try await hub.postUnchecked(
        PostRequest(
          topic: topic, content: content, key: key.map { "broadcast:" + $0 }, attributes: extra))
    } catch {
      throw Refusal(backchannel: error)
    }
    let at = receipt.storedAt ?? loop.wallClockMilliseconds
    let message = BackchannelMessage.plain(
      id: receipt.id, channel: channel, sender: hub.setup.author.handle, content: content, extra: extra, at: at)
    return ["message": message, "next_cursor": .string(receipt.cursor.text)]
  }

  /// The place behind a message that was stored a moment ago.
  private func cursor(of id: MessageID, on topic: Topic) async -> String? {
    let page: Page
    do throws(HubError) {
      page = try await hub.fetchUnchecked(FetchRequest(topic, .latest, limit: 20))
    } catch {
      return nil
    }
    return page.messages.first { $0.id == id }?.cursor.text ?? page.next.text
  }
}

extension Refusal {
  /// A failure below in the words of this system.
  init(backchannel error: HubError) {
    guard case .refused(let code, let reason) = error else {
      self.init(error)
      switch error {
      case .seam(let failure) where failure.code == .cursorInvalid: self.code = "invalid_cursor"
      case .seam(let failure) where failure.code == .keyReused: self.code = "idempotency_key_reused"
      default: break
      }
      return
    }
    switch code {
    case "taskHeld": self.init(409, "already_claimed", reason)
    case "taskEnded": self.init(409, "already_acknowledged", reason)
    case "taskExpired": self.init(410, "message_expired", reason)
    case "taskNotHeld", "taskWrongFence": self.init(410, "lease_expired", reason)
    case "taskNotHolder", "taskNotPoster": self.init(403, "forbidden", reason)
    case "taskUnknown": self.init(404, "message_not_found", reason)
    case "taskBoardFull": self.init(409, "channel_full", reason)
    default: self.init(409, code, reason)
    }
  }
}

extension String {
  /// The text without white space at its ends.
  var trimmed: String {
    let start = drop(while: \.isWhitespace)
    return String(start.reversed().drop(while: \.isWhitespace).reversed())
  }

  /// Nothing to be seen.
  var isBlank: Bool { unicodeScalars.allSatisfy(\.properties.isWhitespace) }
}
