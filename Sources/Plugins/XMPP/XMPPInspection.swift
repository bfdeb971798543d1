import ParleyRuntime
import ParleyTLS

/// What a look at the server finds, for `doctor`: how we got in, what it offers, and how far its clock is from ours.
public struct XMPPInspection: Sendable {
  /// Name and version of the server; nil where it does not tell.
  public let software: String?
  /// How the account was authenticated.
  public let mechanism: String
  /// The authentication is bound to the very TLS connection.
  public let isChannelBound: Bool
  /// A cut stream can be resumed.
  public let canResume: Bool
  /// The largest stanza, where the server says so.
  public let largestStanza: Int?
  /// The service of the rooms answers and is one of multi-user chat.
  public let hasRooms: Bool
  /// What the service of the rooms answers otherwise.
  public let roomsRefusal: String?
  /// The service says that its rooms have archives; nil where only the rooms themselves would say.
  public let hasArchive: Bool?
  /// The password is the one that everybody knows.
  public let hasDefaultPassword: Bool
  /// How far the server's clock is ahead of ours, to the second; nil where it does not tell.
  public let clockSkew: Duration?
  /// The median of five round trips.
  public let roundTrip: Duration
  /// The rooms of the topics that were asked for, in that order.
  public let rooms: [XMPPRoomInspection]

  /// Connects, looks, also at the rooms of these topics, and leaves nothing behind. Throws what `XMPPBackend.connect`
  /// would.
  public static func look(
    _ options: XMPPOptions, at topics: [Topic] = [], patience: Duration = .seconds(20)
  ) async throws(SeamError) -> XMPPInspection {
    let loop: EventLoop
    do throws(SystemError) { loop = try EventLoop.thread(named: "xmpp doctor") } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: "doctor", cause: error.description)
    }
    defer { loop.stop() }
    return try await loop.spawn { () async -> Result<XMPPInspection, SeamError> in
      do throws(SeamError) { return .success(try await inspect(options, topics, loop, patience)) } catch {
        return .failure(error)
      }
    }.value.get()
  }

  private static func inspect(
    _ options: XMPPOptions, _ topics: [Topic], _ loop: EventLoop, _ patience: Duration
  ) async throws(SeamError) -> XMPPInspection {
    let deadline = loop.now.advanced(by: patience)
    let context = try await TLSContext.load(options.tls, loop: loop, until: deadline)
    let negotiation = Negotiation(
      options: options, loop: loop, context: context, deadline: deadline,
      resource: "parley-doctor-" + [UInt8](random: 4).hexadecimal, resumable: nil)
    let outcome = try await negotiation.run()
    let session = XMPPSession(outcome, options: options, loop: loop, lost: { _ in })
    session.start()
    defer { session.close() }
    let server = JID(local: "", domain: options.domain)
    func ask(_ address: JID, _ name: String, _ namespace: String) async throws(SeamError) -> XMLElement {
      try await session.ask("get", to: address, XMLElement(name, namespace), "doctor", until: deadline)
    }
    var trips: [Duration] = []
    for _ in 0..<5 {
      let start = loop.now
      _ = try await ask(server, "ping", Namespace.ping)
      trips.append(start.duration(to: loop.now))
    }
    let version = try await ask(server, "query", Namespace.version).child("query", Namespace.version)
    let software = version?.child("name", Namespace.version).map { name in
      [name.text, version?.child("version", Namespace.version)?.text ?? ""].filter { !$0.isEmpty }.joined(
        separator: " ")
    }
    let time = try await ask(server, "time", Namespace.time).child("time", Namespace.time)
    let told = time?.child("utc", Namespace.time).flatMap { Timestamp.milliseconds($0.text) }
    let rooms = try await ask(JID(local: "", domain: options.mucService), "query", Namespace.info)
    let features = Set(
      rooms.child("query", Namespace.info)?.all("feature", Namespace.info).compactMap { $0["var"] } ?? [])
    let hasRooms = features.contains(Namespace.muc)
    var found: [XMPPRoomInspection] = []
    for topic in hasRooms ? topics : [] {
      let visit = RoomVisit(of: topic, session, loop)
      found.append(try await visit.inspection(until: loop.now.advanced(by: patience)))
    }
    return XMPPInspection(
      software: software, mechanism: outcome.mechanism.rawValue, isChannelBound: outcome.mechanism.bindsChannel,
      canResume: outcome.management?.resumption != nil, largestStanza: outcome.largestStanza,
      hasRooms: hasRooms,
      roomsRefusal: rooms["type"] == "error" ? SeamError(stanza: rooms, operation: "doctor").cause : nil,
      hasArchive: features.contains(Namespace.archive) ? true : nil, hasDefaultPassword: options.hasDefaultPassword,
      clockSkew: told.map { .milliseconds(($0 - loop.wallClockMilliseconds) / 1000 * 1000) },
      roundTrip: trips.sorted()[trips.count / 2], rooms: found)
  }
}

extension XMPPOptions {
  /// The version of expat that was compiled against.
  public static let libraryVersion = XMLHandle.version
}
