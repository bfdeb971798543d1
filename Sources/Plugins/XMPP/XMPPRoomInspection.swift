import ParleyRuntime
import ParleyTLS

/// What a look at one topic's room finds, for `doctor`.
public struct XMPPRoomInspection: Sendable {
  /// What there is.
  public enum State: Sendable {
    /// No room of that name: the first post or subscription makes one.
    case absent
    /// It is there, but we may not enter, for this reason.
    case refused(String)
    /// It is there, and we may enter.
    case open(Details)
  }

  /// What an open room is like.
  public struct Details: Sendable {
    /// Our role while we are in it (XEP-0045, section 5.1): a `visitor` may not speak.
    public let role: String
    /// Our standing in it (section 5.2): owner, admin, member or none.
    public let affiliation: String
    /// It keeps an archive and gives its messages ids: without, it is no log.
    public let hasArchive: Bool
    /// Everyone sees the real addresses, so that senders have accounts.
    public let isNonAnonymous: Bool
    /// It outlives its occupants.
    public let isPersistent: Bool
    /// It lets members in alone.
    public let isMembersOnly: Bool
    /// How old the oldest message of the archive is; nil where there is none.
    public let oldest: Duration?
  }

  /// The topic.
  public let topic: Topic
  /// The room's address.
  public let address: String
  /// What there is.
  public let state: State
}

/// A short stay in one room, under a name of its own; confined to its loop.
//
// @unchecked: confined to the loop's thread.
final class RoomVisit: @unchecked Sendable {
  private let topic: Topic
  private let room: JID
  private let own: JID
  private let session: XMPPSession
  private let loop: EventLoop
  private let presences: Waiters<XMLElement>
  private var archived: [XMLElement] = []

  init(of topic: Topic, _ session: XMPPSession, _ loop: EventLoop) {
    self.topic = topic
    self.session = session
    self.loop = loop
    room = TopicRooms(service: session.options.mucService).room(of: topic)
    own = room.with(resource: "parley-doctor-" + [UInt8](random: 3).hexadecimal)
    presences = Waiters(loop: loop)
  }

  func inspection(
    until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> XMPPRoomInspection {
    let room = room
    session.onStanza = { [weak self] in self?.take($0) }
    defer { session.onStanza = nil }
    let info = try await session.ask(
      "get", to: room, XMLElement("query", Namespace.info), "ask \(room)", until: deadline)
    guard info["type"] == "result", let query = info.child("query", Namespace.info) else {
      let error = SeamError(stanza: info, operation: "ask \(room)")
      return report(error.code == .noSuchTopic ? .absent : .refused(error.cause))
    }
    let presence = try await enter(until: deadline)
    guard presence["type"] == nil else {
      return report(.refused(SeamError(stanza: presence, operation: "join \(room)").cause))
    }
    let features = RoomFeatures(query)
    let item = presence.child("x", Namespace.mucUser)?.child("item", Namespace.mucUser)
    let oldest = features.hasArchive ? try await oldest(until: deadline) : nil
    try session.send(
      XMLElement("presence", Namespace.client, ["to": own.description, "type": "unavailable"]))
    return report(
      .open(
        XMPPRoomInspection.Details(
          role: item?["role"] ?? "none", affiliation: item?["affiliation"] ?? "none",
          hasArchive: features.hasArchive && features.hasStanzaIDs, isNonAnonymous: features.isNonAnonymous,
          isPersistent: features.isPersistent, isMembersOnly: features.isMembersOnly,
          oldest: oldest.map { .milliseconds(max(0, loop.wallClockMilliseconds - $0)) })))
  }

  private func report(_ state: XMPPRoomInspection.State) -> XMPPRoomInspection {
    XMPPRoomInspection(topic: topic, address: room.description, state: state)
  }

  private func take(_ stanza: XMLElement) {
    let from = stanza["from"].flatMap { JID($0) }
    if stanza.name == "presence", from == own || stanza["type"] == "error" && from?.bare == room {
      presences.resumeAll(stanza)
    } else if stanza.name == "message", from == room, stanza.child("result", Namespace.archive) != nil {
      archived.append(stanza)
    }
  }

  private func enter(
    until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> XMLElement {
    var wish = XMLElement(
      "x", Namespace.muc, children: [XMLElement("history", Namespace.muc, ["maxstanzas": "0"])])
    if let password = session.options.roomPassword {
      wish.children.append(XMLElement("password", Namespace.muc, text: password))
    }
    let ticket = presences.ticket()
    try session.send(XMLElement("presence", Namespace.client, ["to": own.description], children: [wish]))
    guard case .value(let presence) = await presences.wait(ticket, until: deadline) else {
      throw SeamError(.unavailable, operation: "join \(room)", cause: "the room does not answer")
    }
    return presence
  }

  /// When the oldest entry of the archive was stored.
  private func oldest(
    until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> Int64? {
    let one = XMLElement(
      "set", Namespace.resultSet, children: [XMLElement("max", Namespace.resultSet, text: "1")])
    _ = try await session.request(
      "set", to: room, XMLElement("query", Namespace.archive, children: [one]), "read the archive of \(room)",
      until: deadline)
    return archived.first?.child("result", Namespace.archive)?.child("forwarded", Namespace.forward)?
      .child("delay", Namespace.delay)?["stamp"].flatMap { Timestamp.milliseconds($0) }
  }
}
