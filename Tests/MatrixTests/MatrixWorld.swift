import ParleyConformance
import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// What a test works with: a loop, a homeserver, backends on it, and people with other clients.
//
// @unchecked: confined to the test's loop.
final class MatrixWorld: @unchecked Sendable {
  let loop: EventLoop
  let homeserver: TestHomeserver
  let topic = Topic("t-" + String(UInt64.random(in: 0 ... .max), radix: 36))
  private var backends: [MatrixBackend] = []
  private var lives: [Task<Void, Never>] = []
  private var lastKey = 0

  private init(loop: EventLoop, homeserver: TestHomeserver) {
    self.loop = loop
    self.homeserver = homeserver
  }

  /// Runs a test in a world of its own.
  static func run(
    _ homeserver: TestHomeserver, _ body: @escaping @Sendable (MatrixWorld) async throws -> Void
  ) async throws {
    let loop = try EventLoop.thread(named: "matrix test")
    defer { loop.stop() }
    let result: Result<Void, any Error> = await loop.spawn {
      let world = MatrixWorld(loop: loop, homeserver: homeserver)
      let result: Result<Void, any Error>
      do { result = .success(try await body(world)) } catch { result = .failure(error) }
      await world.end()
      return result
    }.value
    try result.get()
  }

  private func end() async {
    for life in lives {
      life.cancel()
      await life.value
    }
    for backend in backends { await backend.disconnect() }
  }

  var deadline: LoopInstant { loop.now.advanced(by: .seconds(60)) }

  var options: MatrixOptions { homeserver.options() }

  /// A connected backend.
  func backend(_ options: MatrixOptions? = nil) async throws -> MatrixBackend {
    let backend = MatrixBackend(loop: loop, options: options ?? self.options)
    backends.append(backend)
    try await backend.connect { _ in }
    return backend
  }

  /// A backend under supervision.
  func supervise(_ options: MatrixOptions? = nil) -> Supervisor {
    let backend = MatrixBackend(loop: loop, options: options ?? self.options)
    let policy = RestartPolicy(
      initialDelay: .milliseconds(20), maximumDelay: .milliseconds(500), settledAfter: .seconds(1))
    let supervisor = Supervisor(loop: loop, backend: backend, policy: policy)
    lives.append(loop.spawn { await supervisor.run() })
    return supervisor
  }

  func draft(_ content: String, by handle: String = "ada", key: DraftKey? = nil, on topic: Topic? = nil) -> Draft {
    lastKey += 1
    return Draft(
      topic: topic ?? self.topic, author: Author(handle: Handle(handle), instance: "\(handle)-instance"),
      content: content, key: key ?? .generated("\(self.topic.name)-\(lastKey)"))
  }

  /// Somebody with another client, by plain requests; a new account.
  func person(_ name: String) async throws -> Person {
    let user = "\(name)-\(String(UInt64.random(in: 0 ... .max), radix: 36))"
    let token = try await homeserver.server.register(user, password: "secret")
    return Person(id: "@\(user):\(SynapseServer.name)", token: token, server: homeserver.server)
  }

  /// A person who is in the topic's room, which is made by a first post.
  func person(_ name: String, joining backend: MatrixBackend) async throws -> (Person, room: String) {
    let person = try await person(name)
    _ = try await backend.post(draft("hello"), deadline: deadline)
    let room = try #require(await homeserver.room(of: topic))
    let bot = try await bot()
    _ = try await bot.request("POST", "rooms/\(Person.escape(room))/invite", ["user_id": .string(person.id)])
    _ = try await person.request("POST", "join/\(Person.escape(room))", [:])
    return (person, room)
  }

  /// The account that Parley uses, by plain requests.
  func bot() async throws -> Person {
    let answer = try await homeserver.server.request(
      "POST", "/_matrix/client/v3/login",
      body: [
        "type": "m.login.password", "identifier": ["type": "m.id.user", "user": .string(TestHomeserver.user)],
        "password": .string(TestHomeserver.password),
      ])
    return Person(
      id: TestHomeserver.account, token: try #require(answer["access_token"]?.string), server: homeserver.server)
  }

  func fetch(
    _ position: Position = .latest, limit: Int = 1000, on topic: Topic? = nil, from backend: MatrixBackend
  ) async throws -> [Message] {
    try await backend.fetch(FetchRequest(topic ?? self.topic, position, limit: limit), deadline: deadline).messages
  }

  /// Subscribes from a cursor and records.
  func subscribe(after cursor: Cursor, on backend: MatrixBackend) async throws -> DeliveryRecorder {
    let recorder = DeliveryRecorder(loop: loop)
    _ = try await backend.subscribe(topic, after: cursor, sink: recorder.sink)
    return recorder
  }
}

/// Somebody with another client than Parley.
struct Person: Sendable {
  let id: String
  let token: String
  let server: SynapseServer

  static func escape(_ text: String) -> String { TestHomeserver.escape(text) }

  /// A request below `/_matrix/client/v3/`.
  @discardableResult
  func request(_ method: String, _ path: String, _ body: JSONValue? = nil) async throws -> JSONValue {
    try await server.request(method, "/_matrix/client/v3/" + path, token: token, body: body)
  }

  /// Sends an event and returns its id.
  @discardableResult
  func send(_ content: JSONValue, type: String = "m.room.message", to room: String) async throws -> String {
    let transaction = String(UInt64.random(in: 0 ... .max), radix: 36)
    let answer = try await request("PUT", "rooms/\(Self.escape(room))/send/\(type)/\(transaction)", content)
    guard let id = answer["event_id"]?.string else { throw ServerFailure("send: \(answer.text)") }
    return id
  }

  @discardableResult
  func say(_ text: String, in room: String) async throws -> String {
    try await send(["msgtype": "m.text", "body": .string(text)], to: room)
  }

  /// An event as the server has it.
  func event(_ id: String, in room: String) async throws -> JSONValue {
    try await request("GET", "rooms/\(Self.escape(room))/event/\(Self.escape(id))")
  }
}
