import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// Four writers and two readers, each with a session of its own, over one server behind a proxy; the history checker
/// judges them. Confined to its loop.
final class Arena: @unchecked Sendable {
  let loop: EventLoop
  let store: TestStore
  let topic = Topic("arena")
  private var settings: Settings
  private var supervisors: [(supervisor: Supervisor, backend: XMPPBackend, task: Task<Void, Never>)] = []
  private var checker = HistoryChecker()
  private var acknowledged: [(id: MessageID, content: String)] = []
  private(set) var recorders: [DeliveryRecorder] = []
  private var writers: [Supervisor] = []
  private(set) var posted = 0
  /// An administrator of the server who made the room, and who sees everything that is said in it, in its order.
  private(set) var witness: Person?
  /// Errors that posts may end with.
  var expects: [SeamError.Code] = []

  init(
    loop: EventLoop, witnessed: Bool = false, isolation: isolated (any Actor)? = #isolation,
    change: (inout ProsodyServer.Options) -> Void = { _ in }
  ) async throws {
    self.loop = loop
    var options = ProsodyServer.Options()
    change(&options)
    store = try await TestStore(options)
    settings = store.settings()
    if witnessed {
      let carol = try await Person.connect("carol", to: store, loop: loop)
      _ = try await carol.join(topic, as: "carol")
      witness = carol
    }
    // Shortened, so that a server that is stopped for 3 s is noticed in that time.
    settings["timeout_ms"] = .integer(1000)
    settings["ping_interval_ms"] = .integer(1000)
  }

  private func supervise(isolation: isolated (any Actor)? = #isolation) async throws -> Supervisor {
    let policy = RestartPolicy(
      initialDelay: .milliseconds(20), maximumDelay: .milliseconds(300), settledAfter: .seconds(1))
    let backend = XMPPBackend(loop: loop, options: try XMPPOptions(settings))
    let supervisor = Supervisor(loop: loop, backend: backend, policy: policy)
    supervisors.append((supervisor, backend, loop.spawn { await supervisor.run() }))
    _ = try await supervisor.fetch(FetchRequest(topic, limit: 1), deadline: soon)
    return supervisor
  }

  var soon: LoopInstant { loop.now.advanced(by: .seconds(40)) }

  /// Posts `count` messages from each writer and calls `disturb` when a third of them is out.
  func run(
    each count: Int, isolation: isolated (any Actor)? = #isolation,
    disturb: @escaping @Sendable (Arena) async throws -> Void
  ) async throws {
    for _ in 0..<4 { writers.append(try await supervise()) }
    for _ in 0..<2 {
      let reader = try await supervise()
      let recorder = DeliveryRecorder(loop: loop)
      recorders.append(recorder)
      let start = try await reader.fetch(FetchRequest(topic, limit: 1), deadline: soon).next
      _ = await reader.follow(topic, after: start, sink: recorder.sink)
    }
    let posting = writers.enumerated().map { index, writer in
      loop.spawn { await self.post(count, by: "w\(index)", through: writer) }
    }
    while posted < count * 4 / 3 { await loop.sleep(for: .milliseconds(1)) }
    try await disturb(self)
    for task in posting { await task.value }
  }

  private func post(_ count: Int, by name: String, through writer: Supervisor) async {
    for number in 0..<count {
      let content = "\(name) says \(number)"
      let draft = Draft(
        topic: topic, author: Author(handle: Handle(name), instance: "instance-\(name)"), content: content,
        key: .generated("\(name)-\(number)"))
      let post = checker.attempt(writer: name, key: draft.key.text, content: content)
      do throws(SeamError) {
        let receipt = try await writer.post(draft, deadline: soon)
        checker.acknowledge(post, id: receipt.id)
        acknowledged.append((receipt.id, content))
      } catch {
        if error.code == .outcomeUnknown { checker.leaveUnknown(post) } else { checker.fail(post) }
        if !expects.contains(error.code) { Issue.record("\(draft.content): \(error)") }
      }
      posted += 1
    }
  }

  /// Waits until the readers have the last message, ends everything, and judges. Messages that are gone were taken away
  /// by the test.
  func verdict(isolation: isolated (any Actor)? = #isolation) async throws -> Verdict {
    let direct = XMPPBackend(loop: loop, options: try XMPPOptions(store.settings(proxied: false)))
    try await direct.connect { _ in }
    let last = try await direct.fetch(FetchRequest(topic, limit: 1), deadline: soon).messages.last?.id
    for (index, recorder) in recorders.enumerated() {
      let isThere = await recorder.wait(until: soon) { $0.messages.last?.id == last }
      #expect(isThere, "reader \(index) did not get to the end: \(recorder.messages.count) messages")
      let reader = checker.addReader("reader \(index)")
      for delivery in recorder.deliveries { checker.deliver(delivery, to: reader) }
      checker.expectComplete(reader)
    }
    var log: [Message] = []
    var position = Position.latest
    while true {
      let page = try await direct.fetch(FetchRequest(topic, position, limit: 500), deadline: soon)
      log = page.messages + log
      guard let previous = page.previous else { break }
      position = .before(previous)
    }
    await direct.disconnect()
    // What is gone was taken away by the test; the witness saw where it stood.
    let present = Set(log.map(\.id))
    let seen = witnessed().filter { !present.contains($0.id) }
    let order = witnessed().map(\.id)
    let rank = Dictionary(uniqueKeysWithValues: zip(order, order.indices))
    var entries = log.map { HistoryChecker.Entry(id: $0.id, content: $0.content) } + seen
    if !seen.isEmpty {
      entries = entries.enumerated().sorted {
        (rank[$0.element.id] ?? Int.max, $0.offset) < (rank[$1.element.id] ?? Int.max, $1.offset)
      }.map(\.element)
    }
    witness?.session.close()
    for (_, _, task) in supervisors {
      task.cancel()
      await task.value
    }
    await store.end()
    return checker.verdict(log: entries)
  }

  private func witnessed() -> [HistoryChecker.Entry] {
    let room = TopicRooms(service: ProsodyServer.rooms).room(of: topic)
    return (witness?.stanzas ?? []).compactMap { stanza in
      guard stanza["type"] == "groupchat", let text = stanza.child("body", Namespace.client)?.text,
        let id = stanza.all("stanza-id", Namespace.stanzaID).first(where: { $0["by"] == room.description })?["id"]
      else { return nil }
      return HistoryChecker.Entry(id: MessageID(id), content: text, isRemoved: true)
    }
  }

  /// Takes everybody but the witness out of the room; how many.
  func kickAll(isolation: isolated (any Actor)? = #isolation) async throws -> Int {
    guard let witness else { return 0 }
    let room = TopicRooms(service: ProsodyServer.rooms).room(of: topic)
    var nicks: [String] = []
    for presence in witness.stanzas where presence.name == "presence" {
      guard let nick = presence["from"].flatMap({ JID($0) })?.resource, nick != "carol" else { continue }
      nicks.removeAll { $0 == nick }
      if presence["type"] == nil { nicks.append(nick) }
    }
    for nick in nicks {
      let item = XMLElement("item", Namespace.mucAdmin, ["nick": nick, "role": "none"])
      // Whoever was renamed meanwhile is none.
      _ = try? await witness.session.request(
        "set", to: room, XMLElement("query", Namespace.mucAdmin, children: [item]), "kick", until: soon)
    }
    return nicks.count
  }

  /// Destroys the room, and with it its archive.
  func destroy(isolation: isolated (any Actor)? = #isolation) async throws {
    guard let witness else { return }
    let query = XMLElement(
      "query", Namespace.mucOwner, children: [XMLElement("destroy", Namespace.mucOwner)])
    _ = try await witness.session.request(
      "set", to: TopicRooms(service: ProsodyServer.rooms).room(of: topic), query, "destroy", until: soon)
  }

  /// How often the supervisors connected anew.
  func reconnects(isolation: isolated (any Actor)? = #isolation) async -> Int {
    var count = 0
    for (supervisor, _, _) in supervisors { count += await supervisor.health.reconnects }
    return count
  }

  /// How many of the sessions there are now were resumed.
  func resumed(isolation: isolated (any Actor)? = #isolation) async -> Int {
    var count = 0
    for (_, backend, _) in supervisors where await backend.live?.session.isResumed == true { count += 1 }
    return count
  }
}

/// Four writers and two readers of `count` messages each, while a disturbance befalls them.
func survive(
  each count: Int = 40, reconnects: Bool? = true, resumes: Bool = false, removes: Bool = false,
  change: @escaping @Sendable (inout ProsodyServer.Options) -> Void = { _ in }, witnessed: Bool = false,
  disturb: @escaping @Sendable (Arena) async throws -> Void
) async throws {
  try await onLoop { loop in
    let arena = try await Arena(loop: loop, witnessed: witnessed, change: change)
    try await arena.run(each: count, disturb: disturb)
    let (again, resumed) = (await arena.reconnects(), await arena.resumed())
    let verdict = try await arena.verdict()
    #expect(verdict.isClean, "\(verdict)")
    #expect(verdict.acknowledged == 4 * count, "\(verdict)")
    if removes {
      #expect(verdict.removed > 0 && arena.recorders.allSatisfy { $0.gaps.count == 1 }, "\(verdict)")
    } else {
      #expect(verdict.gapsTold == 0, "\(verdict)")
    }
    if let reconnects { #expect((again > 0) == reconnects, "\(again) reconnects") }
    if resumes { #expect(resumed > 0, "no stream was resumed") }
  }
}
