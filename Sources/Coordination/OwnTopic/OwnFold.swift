import ParleyRuntime

/// What a participant finds again wherever it resumes.
public struct OwnState: Hashable, Sendable {
  /// The conversations it was brought into and has not left; whether it is a member, each conversation's own log says.
  public var conversations: [Topic: Invitation] = [:]
  /// What it says it is doing.
  public var status: String?
  /// What it wants to be so, by name.
  public var settings: [String: String] = [:]

  init() {}

  var text: String {
    StateText.write { writer in
      writer.key("conversations")
      writer.beginArray()
      for invitation in conversations.values.sorted(by: { $0.topic < $1.topic }) {
        writer.beginObject()
        writer.text("topic", invitation.topic.name)
        if let name = invitation.name { writer.text("name", name) }
        writer.text("by", invitation.by.name)
        writer.key("at")
        writer.int(invitation.at)
        writer.endObject()
      }
      writer.endArray()
      if let status { writer.text("status", status) }
      writer.key("settings")
      writer.beginObject()
      for (name, value) in settings.sorted(by: { $0.key < $1.key }) { writer.text(name, value) }
      writer.endObject()
    }
  }

  init(text: String) throws(EventRefusal) {
    let object = try StateText.read(text)
    for entry in try object.objects("conversations") {
      let topic = Topic(try entry.text("topic"))
      conversations[topic] = Invitation(
        topic: topic, name: entry.member("name")?.string, by: Handle(try entry.text("by")), at: try entry.count("at"))
    }
    status = object.member("status")?.string
    guard let list = object.member("settings"), list.kind == .object else { throw .malformed }
    for member in list.members {
      guard let value = member.value.string else { throw .malformed }
      settings[member.name] = value
    }
  }
}

/// A participant's own topic as its log tells it, but for the read marks, which have a fold of their own.
public struct OwnFold: TopicFold, Hashable {
  /// Conversations that are remembered; those begun longest ago make room.
  static let conversationLimit = 10_000
  /// Settings at the same time.
  static let settingLimit = 256

  /// The participant. Others may only invite it.
  public let owner: Handle
  /// The account that it writes from, where the backend has accounts.
  public private(set) var account: String?
  /// What it finds again.
  public private(set) var state = OwnState()
  /// Messages that looked like events and were damaged, forged, or of a later version.
  public private(set) var ignoredEvents = 0

  /// Nothing said yet.
  public init(owner: Handle) { self.owner = owner }

  package static var keepsCheckpoints: Bool { true }
  package static func concerns(_ message: Message) -> Bool { !message.isLate && OwnEvent.owns(message) }

  package mutating func setAccount(_ account: String?) { self.account = account }

  private func isOwn(_ message: Message) -> Bool { message.isFrom(owner, account: account) }

  package func through(of message: Message) -> Cursor? {
    guard message.kind == OwnEvent.Kind.checkpoint.rawValue, isOwn(message) else { return nil }
    do throws(EventRefusal) {
      guard case .checkpoint(_, let through) = try OwnEvent(message) else { return nil }
      return through
    } catch {
      return nil
    }
  }

  package mutating func restore(from checkpoint: Message) {
    do throws(EventRefusal) {
      guard case .checkpoint(let state, _) = try OwnEvent(checkpoint) else { return }
      self.state = state
    } catch {
      ignoredEvents += 1
    }
  }

  package func checkpoint(through: Cursor) -> EventText? {
    state == OwnState() ? nil : OwnEvent.checkpoint(state, through: through).message(by: owner)
  }

  /// Takes the next message of the log; nil where it is no event that counts.
  @discardableResult
  package mutating func apply(_ message: Message) -> Bool? {
    let event: OwnEvent
    do throws(EventRefusal) {
      event = try OwnEvent(message)
    } catch {
      if error != .foreign { ignoredEvents += 1 }
      return nil
    }
    if case .invitation(let topic, let name) = event {
      guard
        !ConversationTopic.isDirect(topic) || isOwn(message)
          || ConversationTopic.direct(owner, message.sender) == topic
      else {
        ignoredEvents += 1
        return nil
      }
      invite(topic, name, message)
      return true
    }
    guard isOwn(message) else {
      ignoredEvents += 1
      return nil
    }
    switch event {
    case .invitation, .pushed, .checkpoint: return nil
    case .left(let topic): state.conversations[topic] = nil
    case .status(let text): state.status = text
    case .setting(let name, let value):
      guard state.settings[name] != nil || state.settings.count < Self.settingLimit else { return nil }
      state.settings[name] = value
    }
    return true
  }

  private mutating func invite(_ topic: Topic, _ name: String?, _ message: Message) {
    if state.conversations[topic] == nil, state.conversations.count >= Self.conversationLimit {
      // Many at once, so that a flood costs little.
      let kept = state.conversations.values.sorted { ($1.at, $1.topic) < ($0.at, $0.topic) }
        .prefix(Self.conversationLimit * 9 / 10)
      state.conversations = Dictionary(uniqueKeysWithValues: kept.map { ($0.topic, $0) })
    }
    state.conversations[topic] = Invitation(topic: topic, name: name, by: message.sender, at: message.storedAt)
  }
}
