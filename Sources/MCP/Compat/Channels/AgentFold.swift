import ParleyCoordination
import ParleyRuntime

/// What the log of agents says about who is there: the codec between events and messages. What is directed to an agent
/// is an ordinary message with its name in `to`.
enum AgentEvent: Hashable, Sendable {
  /// A session is there; without a name it is given the next `agent-N`. Said again, it goes on being there.
  case arrive(name: String?, session: String, lifetime: Int64)
  /// A session goes by another name.
  case rename(to: String, session: String, lifetime: Int64)
  /// A session is gone.
  case depart(session: String)

  private enum Kind: String {
    case arrive = "agent.arrive"
    case rename = "agent.rename"
    case depart = "agent.depart"
  }

  static let prefix = "agent."

  init?(_ message: Message) {
    let attributes = message.attributes
    guard let kind = message.kind.flatMap(Kind.init), attributes["v", default: "1"] == "1",
      let session = attributes["session"], !session.isEmpty
    else { return nil }
    let lifetime = attributes["ttl_ms"].flatMap { Int64($0) }.flatMap { (1...(1 << 40)).contains($0) ? $0 : nil }
    switch kind {
    case .arrive:
      guard let lifetime else { return nil }
      self = .arrive(name: attributes["name"], session: session, lifetime: lifetime)
    case .rename:
      guard let lifetime, let name = attributes["name"], !name.isBlank else { return nil }
      self = .rename(to: name, session: session, lifetime: lifetime)
    case .depart: self = .depart(session: session)
    }
  }

  /// The text and the attributes of the message that carries the event.
  var message: EventText {
    switch self {
    case .arrive(let name, let session, let lifetime):
      return (
        "\(name ?? "an agent") is here",
        Self.attributes(.arrive, session, name: name, lifetime)
      )
    case .rename(let name, let session, let lifetime):
      return (
        "an agent is called \(name) now", Self.attributes(.rename, session, name: name, lifetime)
      )
    case .depart(let session): return ("an agent has gone", Self.attributes(.depart, session))
    }
  }

  private static func attributes(
    _ kind: Kind, _ session: String, name: String? = nil, _ lifetime: Int64? = nil
  ) -> Attributes {
    [
      "kind": kind.rawValue, "session": session, Message.quietAttribute: "1", "name": name,
      "ttl_ms": lifetime.map { String($0) },
    ]
  }
}

/// Which agents are connected, as the log tells it: every session has one name, and every name one session.
struct AgentFold: TopicFold {
  /// What an event brought.
  enum Outcome: Hashable, Sendable {
    /// The session goes by this name now.
    case named(String)
    /// Another session has the name.
    case taken
    case gone
  }

  private(set) var names = NameTable()
  private var nameOf: [String: String] = [:]
  private var lastAgent = 0
  /// Names that somebody had, for whoever asks for one that has gone.
  private(set) var known: Set<String> = []

  init() {}

  static func concerns(_ message: Message) -> Bool {
    !message.isLate && message.kind?.hasPrefix(AgentEvent.prefix) == true
  }

  /// The name of a session; nil where it has none, or its lease has run out.
  func name(of session: String, at now: Int64) -> String? {
    guard let name = nameOf[session], names.holder(of: name, at: now)?.session == session else { return nil }
    return name
  }

  @discardableResult
  mutating func apply(_ message: Message) -> Outcome? {
    guard let event = AgentEvent(message) else { return nil }
    let (now, account) = (message.storedAt, message.account)
    switch event {
    case .arrive(let name, let session, let lifetime):
      if let current = self.name(of: session, at: now) { return take(current, session, account, now, lifetime) }
      if let name, names.holder(of: name, at: now) == nil { return take(name, session, account, now, lifetime) }
      repeat { lastAgent += 1 } while names.holder(of: "agent-\(lastAgent)", at: now) != nil
      return take("agent-\(lastAgent)", session, account, now, lifetime)
    case .rename(let name, let session, let lifetime):
      if let holder = names.holder(of: name, at: now), holder.session != session { return .taken }
      if let current = self.name(of: session, at: now), current != name {
        guard names.drop(current, session: session, account: account, at: now) else { return .taken }
      }
      return take(name, session, account, now, lifetime)
    case .depart(let session):
      names.drop(session: session, account: account)
      if name(of: session, at: now) == nil { nameOf[session] = nil }
      return .gone
    }
  }

  private mutating func take(
    _ name: String, _ session: String, _ account: String?, _ now: Int64, _ lifetime: Int64
  ) -> Outcome {
    guard names.take(name, session: session, account: account, detail: "", at: now, until: now + lifetime) else {
      return .taken
    }
    nameOf[session] = name
    if nameOf.count > 20_000 { nameOf = nameOf.filter { names.holder(of: $0.value, at: now)?.session == $0.key } }
    if known.count < 20_000 { known.insert(name) }
    // A number is not given again, whoever took such a name for itself.
    if name.hasPrefix("agent-"), let number = Int(name.dropFirst(6)), number < 1_000_000 {
      lastAgent = max(lastAgent, number)
    }
    return .named(name)
  }
}
