import ParleyRuntime
import ParleyTLS
import Testing

@testable import ParleyXMPP

/// A bare client of another account, as a person's or a stranger's program: it sends what it likes, and keeps what comes.
//
// @unchecked: confined to the test's loop.
final class Person: @unchecked Sendable {
  let loop: EventLoop
  let session: XMPPSession
  private(set) var stanzas: [XMLElement] = []
  private let changed: Waiters<Void>

  static func connect(
    _ name: String, to store: TestStore, loop: EventLoop, isolation: isolated (any Actor)? = #isolation
  ) async throws -> Person {
    let options = try XMPPOptions(store.settings(name, proxied: false))
    let deadline = loop.now.advanced(by: .seconds(20))
    let context = try await TLSContext.load(options.tls, loop: loop, until: deadline)
    let outcome = try await Negotiation(
      options: options, loop: loop, context: context, deadline: deadline, resource: "phone", resumable: nil
    ).run()
    return Person(XMPPSession(outcome, options: options, loop: loop, lost: { _ in }), loop)
  }

  private init(_ session: XMPPSession, _ loop: EventLoop) {
    self.session = session
    self.loop = loop
    changed = Waiters(loop: loop)
    session.onStanza = { [weak self] stanza in
      self?.stanzas.append(stanza)
      self?.changed.resumeAll(())
    }
    session.start()
  }

  var soon: LoopInstant { loop.now.advanced(by: .seconds(15)) }

  /// Joins a topic's room, and waits until it is in.
  func join(
    _ topic: Topic, as nick: String, isolation: isolated (any Actor)? = #isolation
  ) async throws -> JID {
    let room = TopicRooms(service: session.options.mucService).room(of: topic)
    let address = room.with(resource: nick)
    try session.send(
      XMLElement("presence", Namespace.client, ["to": address.description], children: [XMLElement("x", Namespace.muc)]))
    _ = try await wait { $0.name == "presence" && $0["from"] == address.description }
    return room
  }

  func say(_ text: String, in room: JID, _ more: XMLElement...) throws {
    try session.send(
      XMLElement(
        "message", Namespace.client, ["to": room.description, "type": "groupchat", "id": "m-\(text.utf8.count)"],
        children: [XMLElement("body", Namespace.client, text: text)] + more))
  }

  /// The first stanza that is so, when it comes.
  func wait(
    isolation: isolated (any Actor)? = #isolation, for condition: (XMLElement) -> Bool
  ) async throws -> XMLElement {
    let deadline = soon
    while true {
      if let found = stanzas.first(where: condition) { return found }
      guard case .value = await changed.wait(changed.ticket(), until: deadline) else {
        Issue.record("it did not come; there came \(stanzas)")
        throw SeamError(.timedOut, operation: "wait", cause: "no such stanza")
      }
    }
  }

  func body(_ text: String, isolation: isolated (any Actor)? = #isolation) async throws -> XMLElement {
    try await wait { $0.child("body", Namespace.client)?.text == text }
  }
}
