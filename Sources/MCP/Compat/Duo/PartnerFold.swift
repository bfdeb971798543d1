import ParleyCoordination
import ParleyRuntime

/// What the log of partners says: the codec between events and messages.
enum PartnerEvent: Hashable, Sendable {
  /// A session is this partner, for so many milliseconds; said again, it goes on being it.
  case register(id: String, session: String, lifetime: Int64, card: Card)
  /// What a partner says it is doing; empty for nothing any more.
  case status(id: String, text: String, session: String)
  /// Whether a partner waits for messages now.
  case listening(id: String, isOn: Bool, session: String)
  /// A partner is gone.
  case unregister(id: String, session: String)

  /// What a partner tells of itself.
  struct Card: Hashable, Sendable {
    var name: String
    /// Its project as it says; never used as a path.
    var project: String?
    /// Where senders of the same user leave word while it is away (`NoticeRegistry`).
    var place: String?
    /// It wants to be told of messages while it is away.
    var isNotified = true
  }

  private enum Kind: String {
    case register = "partner.register"
    case status = "partner.status"
    case listening = "partner.listening"
    case unregister = "partner.unregister"
  }

  static let prefix = "partner."
  static let statusBytes = 256
  static let projectBytes = 1_024

  init?(_ message: Message) {
    let attributes = message.attributes
    guard let kind = message.kind.flatMap(Kind.init), attributes["v", default: "1"] == "1",
      let session = attributes["session"], !session.isEmpty, let id = attributes["partner"], !id.isBlank
    else { return nil }
    switch kind {
    case .register:
      guard let lifetime = attributes["ttl_ms"].flatMap({ Int64($0) }), (1...(1 << 40)).contains(lifetime) else {
        return nil
      }
      let project = attributes["project"].flatMap { $0.utf8.count <= Self.projectBytes ? $0 : nil }
      let card = Card(
        name: attributes["name"] ?? id, project: project, place: attributes["place"],
        isNotified: attributes["notify"] != "off")
      self = .register(id: id, session: session, lifetime: lifetime, card: card)
    case .status:
      let text = attributes["status"] ?? ""
      guard text.utf8.count <= Self.statusBytes else { return nil }
      self = .status(id: id, text: text, session: session)
    case .listening: self = .listening(id: id, isOn: attributes["on"] == "true", session: session)
    case .unregister: self = .unregister(id: id, session: session)
    }
  }

  /// The text and the attributes of the message that carries the event.
  var message: EventText {
    switch self {
    case .register(let id, let session, let lifetime, let card):
      (
        "\(card.name) (\(id)) is here",
        Self.attributes(
          .register, id, session,
          [
            "name": card.name, "ttl_ms": String(lifetime), "project": card.project, "place": card.place,
            "notify": card.isNotified ? nil : "off",
          ])
      )
    case .status(let id, let text, let session):
      (text.isEmpty ? "\(id) has no status" : "\(id): \(text)", Self.attributes(.status, id, session, ["status": text]))
    case .listening(let id, let isOn, let session):
      (
        isOn ? "\(id) listens" : "\(id) does not listen",
        Self.attributes(.listening, id, session, ["on": isOn ? "true" : "false"])
      )
    case .unregister(let id, let session): ("\(id) has gone", Self.attributes(.unregister, id, session))
    }
  }

  private static func attributes(
    _ kind: Kind, _ id: String, _ session: String, _ more: Attributes = [:]
  ) -> Attributes {
    var attributes = more
    attributes.add(["kind": kind.rawValue, "partner": id, "session": session, Message.quietAttribute: "1"])
    return attributes
  }
}

/// Which partners there are and were, as the log tells it.
struct PartnerFold: TopicFold {
  /// What an event brought.
  enum Outcome: Hashable, Sendable {
    case accepted
    /// Another session is that partner.
    case taken
  }

  /// One partner, here or not.
  struct Partner: Hashable, Sendable {
    var id: String
    /// The backend's name for whoever registered it; nil where it does not authenticate.
    var account: String?
    var card: PartnerEvent.Card
    var name: String { card.name }
    var status = ""
    var isListening = false
    /// When it came first, as far as the log goes back.
    var since: Int64
    /// Milliseconds since 1970 by the store's clock.
    var lastSeen: Int64
  }

  private static let capacity = 10_000

  private(set) var names = NameTable()
  private(set) var partners: [String: Partner] = [:]

  init() {}

  static func concerns(_ message: Message) -> Bool {
    !message.isLate && message.kind?.hasPrefix(PartnerEvent.prefix) == true
  }

  /// Whether a partner is there at a time.
  func isOnline(_ id: String, at now: Int64) -> Bool { names.holder(of: id, at: now) != nil }

  /// Whether a partner waits for messages at a time.
  func isListening(_ id: String, at now: Int64) -> Bool { isOnline(id, at: now) && partners[id]?.isListening == true }

  @discardableResult
  mutating func apply(_ message: Message) -> Outcome? {
    guard let event = PartnerEvent(message) else { return nil }
    let now = message.storedAt
    switch event {
    case .register(let id, let session, let lifetime, let card):
      let isNew = names.holder(of: id, at: now) == nil
      let until = now + lifetime
      guard names.take(id, session: session, account: message.account, detail: card.name, at: now, until: until)
      else { return .taken }
      var partner = partners[id] ?? Partner(id: id, card: card, since: now, lastSeen: now)
      partner.account = message.account
      partner.card = card
      partner.lastSeen = now
      if isNew { partner.isListening = false }
      partners[id] = partner
      if partners.count > Self.capacity {
        let kept = partners.values.sorted { $0.lastSeen > $1.lastSeen }.prefix(Self.capacity * 9 / 10)
        partners = Dictionary(uniqueKeysWithValues: kept.map { ($0.id, $0) })
      }
    case .status(let id, let text, let session):
      guard names.isHeld(id, by: session, account: message.account, at: now) else { return .taken }
      partners[id]?.status = text
    case .listening(let id, let isOn, let session):
      guard names.isHeld(id, by: session, account: message.account, at: now) else { return .taken }
      partners[id]?.isListening = isOn
      partners[id]?.lastSeen = now
    case .unregister(let id, let session):
      guard names.drop(id, session: session, account: message.account, at: now) else { return .taken }
      partners[id]?.isListening = false
      partners[id]?.lastSeen = now
    }
    return .accepted
  }

  /// The accounts of the partners that have one: the backend may not have heard of their ids yet.
  var accounts: [Handle: String] {
    Dictionary(uniqueKeysWithValues: partners.compactMap { id, partner in partner.account.map { (Handle(id), $0) } })
  }
}
