import ParleyRuntime

/// One conversation as its log tells it: who is in it, and what it is called.
///
/// Every reader of the same log comes to the same state, whatever the pages it read and whenever it began.
public struct ConversationFold: TopicFold, Hashable {
  /// What an event brought.
  public enum Outcome: Hashable, Sendable {
    /// It counts.
    case accepted
    /// It changes nothing.
    case refused(ConversationRefusal)
  }

  /// Members at the same time.
  static let memberLimit = 1_000

  private let topic: Topic
  /// Nil until it has begun.
  public private(set) var state: ConversationState?
  /// Messages that looked like events and were damaged, or of a later version.
  public private(set) var ignoredEvents = 0

  /// The conversation of a topic, not begun yet.
  public init(topic: Topic) { self.topic = topic }

  package static var keepsCheckpoints: Bool { true }
  /// What members say binds their handle to their account.
  package static func concerns(_ message: Message) -> Bool { !message.isLate }

  package func through(of message: Message) -> Cursor? { ConversationEvent.through(of: message) }

  package mutating func restore(from checkpoint: Message) {
    do throws(EventRefusal) {
      guard case .checkpoint(let state, _) = try ConversationEvent(checkpoint) else { return }
      self.state = state
    } catch {
      ignoredEvents += 1
    }
  }

  package func checkpoint(through: Cursor) -> EventText? {
    state.map { ConversationEvent.checkpoint($0, through: through).message(by: $0.creator) }
  }

  /// Takes the next message of the log; nil where it is no event of a conversation.
  @discardableResult
  package mutating func apply(_ message: Message) -> Outcome? {
    let event: ConversationEvent
    do throws(EventRefusal) {
      event = try ConversationEvent(message)
    } catch {
      if error == .foreign { bind(message) } else { ignoredEvents += 1 }
      return nil
    }
    switch event {
    case .create(let name, let with): return outcome(create(name, with, message))
    case .invite(let handle): return outcome(invite(handle, message))
    case .leave: return outcome(leave(message))
    case .checkpoint: return nil
    }
  }

  private func outcome(_ refusal: ConversationRefusal?) -> Outcome { refusal.map(Outcome.refused) ?? .accepted }

  private mutating func create(_ name: String?, _ with: Handle?, _ message: Message) -> ConversationRefusal? {
    guard state == nil else { return .exists(topic) }
    if let with {
      guard with != message.sender, ConversationTopic.direct(message.sender, with) == topic else {
        return .unknown(topic)
      }
    } else if ConversationTopic.isDirect(topic) {
      return .unknown(topic)
    }
    var members = [
      message.sender: ConversationState.Member(since: message.storedAt, message: message.id, account: message.account)
    ]
    if let with { members[with] = .init(since: message.storedAt, message: message.id) }
    state = ConversationState(
      isDirect: with != nil, name: name, creator: message.sender, createdAt: message.storedAt, members: members)
    return nil
  }

  private mutating func invite(_ handle: Handle, _ message: Message) -> ConversationRefusal? {
    if let refusal = check(message) { return refusal }
    guard state?.isDirect != true else { return .direct }
    guard state?.members[handle] == nil else { return .isMember(handle) }
    guard let count = state?.members.count, count < Self.memberLimit else { return .full(limit: Self.memberLimit) }
    state?.members[handle] = .init(since: message.storedAt, message: message.id)
    return nil
  }

  private mutating func leave(_ message: Message) -> ConversationRefusal? {
    if let refusal = check(message) { return refusal }
    guard state?.isDirect != true else { return .direct }
    state?.members[message.sender] = nil
    return nil
  }

  /// Whether the sender is a member, and the account that this handle has spoken from.
  private mutating func check(_ message: Message) -> ConversationRefusal? {
    guard let state else { return .unknown(topic) }
    guard let member = state.members[message.sender] else { return .notMember(message.sender) }
    if let account = member.account, message.account != account { return .forged(message.sender) }
    bind(message)
    return nil
  }

  private mutating func bind(_ message: Message) {
    guard let account = message.account, let member = state?.members[message.sender], member.account == nil else {
      return
    }
    state?.members[message.sender]?.account = account
  }
}
