import ParleyConformance
import ParleyCoordination
import ParleyMCP
import ParleyRuntime
import Synchronization
import Testing

/// Two participants on one simulated store in virtual time: `ada` posts, `bob` calls the tools under test.
struct ToolRoom: Sendable {
  let loop: EventLoop
  let store: SimulatedStore
  let ada: Hub
  let bob: Hub
  let inbox: Inbox
  let coordination: Coordination
  var marks: ReadMarks { coordination.marks }
  var conversations: Conversations { coordination.conversations }
  let reports = Reports()

  /// What calls reported while they waited.
  final class Reports: Sendable {
    private let items = Mutex<[Double]>([])
    func add(_ done: Double) { items.withLock { $0.append(done) } }
    var all: [Double] { items.withLock { $0 } }
  }

  struct Failed: Error, Equatable {
    let error: HubError
  }

  static let topics = ["general", "build", "odd \"topic\""]

  static func play<T: Sendable>(
    patterns: [String] = [], limits: Limits = Limits(), startsInbox: Bool = true, isUp: Bool = true,
    _ body: @escaping @Sendable (ToolRoom) async throws -> T
  ) throws -> T {
    let loop = try EventLoop(seed: 11)
    let store = SimulatedStore(loop: loop)
    let supervisors = [0, 1].map { _ in Supervisor(loop: loop, backend: SimulatedBackend(store: store)) }
    let ada = try hub("ada", supervisors[0], [], Limits())
    let bob = try hub("bob", supervisors[1], patterns, limits)
    let inbox = Inbox(hub: bob, options: Inbox.Options(filter: PushFilter(author: bob.setup.author)))
    let room = ToolRoom(
      loop: loop, store: store, ada: ada, bob: bob, inbox: inbox, coordination: Coordination(hub: bob))
    return try loop.run { () async -> Result<T, any Error> in
      if !isUp { store.restart(downtime: .seconds(3600)) }
      let lives = supervisors.map { supervisor in loop.spawn { await supervisor.run() } }
      let result: Result<T, any Error>
      do {
        if isUp { try await room.marks.load() }
        if isUp, startsInbox {
          await inbox.start(marks: [:])
          await room.coordination.run()
          await room.conversations.attach(inbox, marks: room.marks)
        }
        result = .success(try await body(room))
      } catch {
        result = .failure(error)
      }
      await inbox.stop()
      await room.coordination.stop()
      for life in lives {
        life.cancel()
        await life.value
      }
      return result
    }.get()
  }

  private static func hub(_ name: String, _ supervisor: Supervisor, _ patterns: [String], _ limits: Limits) throws
    -> Hub
  {
    var setup = Hub.Setup(
      author: Author(handle: Handle(name), instance: "instance-\(name)"), topics: topics.map { Topic($0) })
    setup.postPatterns = patterns
    setup.limits = limits
    return try Hub(setup: setup, supervisor: supervisor)
  }

  var context: CallContext {
    CallContext(hub: bob, inbox: inbox, coordination: coordination) { [reports] done, _, _ in reports.add(done) }
  }

  @discardableResult
  func post(
    _ content: String, on topic: String = "general", to: String? = nil, attributes: Attributes = [:]
  ) async throws -> Receipt {
    try await ada.post(
      PostRequest(topic: Topic(topic), content: content, to: to.map(Handle.init), attributes: attributes))
  }

  /// Calls a tool of `bob`, and checks the result against the tool's own output schema.
  func call(_ name: String, _ arguments: JSONValue = [:]) async throws -> JSONValue {
    let tools = StandardTools.all + StandardTools.further.flatMap(\.tools)
    let tool = try #require(tools.first { $0.name == name })
    switch await tool.call(try JSONSlice(arguments.text), in: context) {
    case .failure(let error): throw Failed(error: error)
    case .content(let content): return .string(content.blocks.joined(separator: "\n"))
    case .success(let members):
      let result = try JSONValue(parsing: [UInt8(ascii: "{")] + members + [UInt8(ascii: "}")])
      let definition = try JSONValue(parsing: tool.definition(for: bob.setup))
      let faults = SchemaCheck.faults(result, try #require(definition["outputSchema"]))
      #expect(faults.isEmpty, "\(name)")
      // Every key is announced, so that the schema tells what there can be.
      let announced = Set(definition["outputSchema"]?["properties"]?.names ?? [])
      #expect(announced.isSuperset(of: result.names), "\(name)")
      return result
    }
  }

  /// The text of the error that a call fails with; nil when it succeeds.
  func failure(_ name: String, _ arguments: JSONValue) async throws -> String? {
    do {
      _ = try await call(name, arguments)
      return nil
    } catch let failed as Failed {
      return failed.error.description
    }
  }
}

extension JSONValue {
  /// The contents of the messages of a result.
  var contents: [String] { self["messages"]?.array?.compactMap { $0["content"]?.string } ?? [] }
  var names: [String] { object?.members.map(\.name) ?? [] }
}
