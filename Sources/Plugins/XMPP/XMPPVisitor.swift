import ParleyRuntime
import ParleyTLS

/// Somebody at an ordinary chat client: joins a topic's room, reads what is said there and writes into it, without
/// anything of Parley's in the stanzas.
public actor XMPPVisitor: LoopActor {
  /// A message as a chat client has it.
  public struct Line: Hashable, Sendable {
    /// The id that the room gave it, which a reply names (XEP-0461).
    public let id: String
    /// The nickname of who wrote it.
    public let sender: String
    /// Its body.
    public let text: String

    /// Makes a line.
    public init(id: String, sender: String, text: String) {
      self.id = id
      self.sender = sender
      self.text = text
    }
  }

  public nonisolated let loop: EventLoop
  private let options: XMPPOptions
  private var session: XMPPSession?
  private var room: JID?
  /// Our own address in the room.
  private var address: JID?
  private var stanzas: [XMLElement] = []
  private let changed: Waiters<Void>
  private var lastMessage = 0

  /// Makes a client of one account; nothing is opened before `connect`.
  public init(loop: EventLoop, options: XMPPOptions) {
    self.loop = loop
    self.options = options
    changed = Waiters(loop: loop)
  }

  /// Logs in, and returns the account: `user@domain`.
  public func connect(deadline: LoopInstant) async throws(SeamError) -> String {
    let negotiation = Negotiation(
      options: options, loop: loop, context: try await TLSContext.load(options.tls, loop: loop, until: deadline),
      deadline: deadline, resource: "client", resumable: nil)
    let session = XMPPSession(try await negotiation.run(), options: options, loop: loop) { [weak self] _ in
      self?.assumeIsolated { $0.changed.resumeAll(()) }
    }
    session.onStanza = { [weak self] stanza in
      self?.assumeIsolated {
        $0.stanzas.append(stanza)
        $0.changed.resumeAll(())
      }
    }
    self.session = session
    session.start()
    return session.jid.bare.description
  }

  /// Enters a topic's room; what the room shows of what was said before comes first. Throws `forbidden` where the room
  /// does not let us in.
  public func enter(_ topic: Topic, as nick: String, deadline: LoopInstant) async throws(SeamError) {
    let room = TopicRooms(service: options.mucService).room(of: topic)
    let address = room.with(resource: nick)
    (self.room, self.address) = (room, address)
    let wish = XMLElement(
      "presence", Namespace.client, ["to": address.description], children: [XMLElement("x", Namespace.muc)])
    try session?.send(wish)
    // Messages of before may stand between the occupants and our own presence; they stay.
    let answer = try await take("enter \(room)", deadline) {
      $0.name == "presence" && $0["from"] == address.description
    }
    guard answer["type"] != "error" else { throw SeamError(stanza: answer, operation: "enter \(room)") }
  }

  /// The next message of somebody else in the room.
  public func nextLine(deadline: LoopInstant) async throws(SeamError) -> Line {
    let (room, address) = (room, address)
    let stanza = try await take("read", deadline) { stanza in
      guard stanza.name == "message", stanza["type"] == "groupchat", let from = stanza["from"].flatMap({ JID($0) })
      else { return false }
      return from.bare == room && from != address && stanza.child("body", Namespace.client) != nil
    }
    let id = stanza.all("stanza-id", Namespace.stanzaID).first { $0["by"].flatMap { JID($0) } == room }?["id"]
    return Line(
      id: id ?? "", sender: stanza["from"].flatMap { JID($0) }?.resource ?? "",
      text: stanza.child("body", Namespace.client)?.text ?? "")
  }

  /// Writes into the room, as a reply.
  public func say(_ text: String, inReplyTo line: Line) throws(SeamError) {
    guard let session, let room else {
      throw SeamError(.unavailable, operation: "say", cause: "not in a room")
    }
    lastMessage += 1
    let reply = XMLElement(
      "reply", Namespace.reply, ["to": room.with(resource: line.sender).description, "id": line.id])
    try session.send(
      XMLElement(
        "message", Namespace.client,
        ["to": room.description, "type": "groupchat", "id": "line-\(loop.random())-\(lastMessage)"],
        children: [XMLElement("body", Namespace.client, text: text), reply]))
  }

  /// Says goodbye.
  public func close() {
    session?.close()
    session = nil
    changed.resumeAll(())
  }

  /// Takes the first stanza that is so out of those that came; the others stay.
  private func take(
    _ operation: String, _ deadline: LoopInstant, where condition: (XMLElement) -> Bool
  ) async throws(SeamError) -> XMLElement {
    while true {
      if let index = stanzas.firstIndex(where: condition) { return stanzas.remove(at: index) }
      if let ending = session?.ending { throw ending }
      guard session != nil, case .value = await changed.wait(changed.ticket(), until: deadline) else {
        throw SeamError(.timedOut, operation: operation, cause: "nothing came in time")
      }
    }
  }
}
