import Glibc
import ParleyConformance
import ParleyHTTPServer
import ParleyMCP
import Testing

@testable import ParleyRemote
@testable import ParleyRuntime

/// A door over a simulated backend, and HTTP clients of it, all on one loop.
final class RemoteWorld: @unchecked Sendable {  // confined to its loop
  let loop: EventLoop
  let store: SimulatedStore
  let server: RemoteServer
  private let supervisor: Supervisor
  private let places: Places
  private var number = 0
  private let changed: Waiters<Void>

  // Set once by the server, on the loop.
  private final class Places: @unchecked Sendable {
    var endpoint: Endpoint?
  }

  var endpoint: Endpoint { places.endpoint ?? .tcp(host: "127.0.0.1", port: 1) }
  /// What requests name as their host.
  var authority: String { "\(endpoint)" }
  var soon: LoopInstant { loop.now.advanced(by: .seconds(10)) }

  private init(
    loop: EventLoop, offer: StdioServer.Offer, adjust: (inout DoorOptions, EventLoop) throws -> Void
  ) throws {
    self.loop = loop
    store = SimulatedStore(loop: loop)
    let changed = Waiters<Void>(loop: loop)
    let places = Places()
    self.changed = changed
    self.places = places
    var setup = Hub.Setup(
      author: Author(handle: Handle("me"), instance: "instance-me"), topics: [Topic("general"), Topic("ops")])
    setup.patience = .seconds(2)
    var options = DoorOptions(
      version: "1.2.3", endpoints: [.tcp(host: "127.0.0.1", port: 0)], authenticator: OpenDoor())
    try adjust(&options, loop)
    supervisor = Supervisor(loop: loop, backend: SimulatedBackend(store: store))
    server = try RemoteServer(
      hub: setup, supervisor: supervisor,
      offer: offer, options: options
    ) { found in
      places.endpoint = found.first
      changed.resumeAll(())
    }
  }

  static func use(
    _ adjust: @escaping @Sendable (inout DoorOptions) -> Void = { _ in }, offer: StdioServer.Offer = .standard(),
    _ body: @escaping @Sendable (RemoteWorld) async throws -> Void
  ) throws {
    try use(offer: offer, adjusting: { options, _ in adjust(&options) }, body)
  }

  static func use(
    offer: StdioServer.Offer = .standard(),
    adjusting adjust: @escaping @Sendable (inout DoorOptions, EventLoop) throws -> Void,
    _ body: @escaping @Sendable (RemoteWorld) async throws -> Void
  ) throws {
    let loop = try EventLoop(name: "test")
    let result: Result<Void, any Error> = try loop.run {
      do {
        let world = try RemoteWorld(loop: loop, offer: offer, adjust: adjust)
        let life = loop.spawn { () async -> SystemError? in
          do throws(SystemError) {
            try await world.server.run(watchesProcess: false)
            return nil
          } catch { return error }
        }
        while world.places.endpoint == nil { _ = await world.changed.wait(world.changed.ticket(), until: world.soon) }
        var failure: (any Error)?
        do { try await body(world) } catch { failure = error }
        await world.server.end()
        if let ended = await life.value { throw ended }
        if let failure { throw failure }
        return .success(())
      } catch { return .failure(error) }
    }
    try result.get()
  }

  /// Waits until a request is being answered.
  func waitForCall() async throws {
    let deadline = soon
    while await server.callCount == 0 {
      guard loop.now < deadline else { throw WebClient.Missing() }
      await loop.sleep(for: .milliseconds(2))
    }
  }

  /// Stores a message of another participant.
  @discardableResult
  func post(
    _ content: String, on topic: String = "general", by handle: String = "bob", attributes: Attributes = [:]
  ) async throws -> MessageID {
    number += 1
    return try await supervisor.post(
      Draft(
        topic: Topic(topic), author: Author(handle: Handle(handle), instance: "instance-bob"), content: content,
        key: .generated("k\(number)"), attributes: attributes), deadline: soon
    ).id
  }

  /// How many parts of the door follow a topic.
  func followers(of topic: String = "general") async -> Int {
    await supervisor.feeds[Topic(topic)]?.followers.count ?? 0
  }

  /// Returns when the condition holds, or too long has passed.
  func wait(until condition: () async -> Bool) async {
    let deadline = soon
    while await !condition(), loop.now < deadline { await loop.sleep(for: .milliseconds(2)) }
  }

  /// The newest messages of a topic, the newest last.
  func messages(on topic: String = "general") async throws -> [Message] {
    try await supervisor.fetch(FetchRequest(Topic(topic), .latest, limit: 100), deadline: soon).messages
  }

  // MARK: Requests

  func connect() async throws -> WebClient {
    WebClient(try await ByteStream.connect(to: endpoint, loop: loop, until: soon))
  }

  /// Starts a request on a connection of its own.
  func begin(
    _ method: String, _ path: String = "/mcp", _ fields: [String: String] = [:], _ body: String = ""
  ) async throws -> WebClient {
    let client = try await connect()
    var all = ["Host": authority, "Accept": "application/json, text/event-stream", "Content-Type": "application/json"]
    for (name, value) in fields { all[name] = value.isEmpty ? nil : value }
    if method == "POST" { all["Content-Length"] = String(body.utf8.count) }
    let lines = all.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\r\n" }.joined()
    client.send("\(method) \(path) HTTP/1.1\r\n\(lines)\r\n\(body)")
    return client
  }

  /// One request and its whole response.
  func request(
    _ method: String, _ path: String = "/mcp", _ fields: [String: String] = [:], _ body: String = ""
  ) async throws -> WebResponse {
    let client = try await begin(method, path, fields, body)
    defer { client.stream.close() }
    return method == "HEAD" ? try await client.head() : try await client.response()
  }

  // MARK: The stateless era

  static func modern(_ method: String, id: JSONValue = 1, _ params: JSONObject = [:]) -> String {
    var params = params
    params["_meta"] =
      params["_meta"] ?? [
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": [:],
      ]
    return JSONValue.object(["jsonrpc": "2.0", "id": id, "method": .string(method), "params": .object(params)]).text
  }

  static func modernFields(_ method: String, name: String? = nil) -> [String: String] {
    var fields = ["MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method]
    if let name { fields["Mcp-Name"] = name }
    return fields
  }

  /// A stateless tool call and its result.
  func tool(_ name: String, _ arguments: JSONValue = [:]) async throws -> JSONValue? {
    try await request(
      "POST", "/mcp", Self.modernFields("tools/call", name: name),
      Self.modern("tools/call", ["name": .string(name), "arguments": arguments])
    ).message?["result"]
  }

  // MARK: Sessions

  static func legacy(_ method: String, id: JSONValue? = 1, _ params: JSONValue = [:]) -> String {
    var message: JSONObject = ["jsonrpc": "2.0", "method": .string(method), "params": params]
    if let id { message["id"] = id }
    return JSONValue.object(message).text
  }

  /// The result of a tool's call in a session.
  func tool(_ name: String, _ arguments: JSONValue = [:], in session: [String: String]) async throws -> JSONValue? {
    let body = Self.legacy("tools/call", ["name": .string(name), "arguments": arguments])
    return try await request("POST", "/mcp", session, body).message?["result"]
  }

  /// The fields of a session that has finished its handshake; `token` is its bearer's.
  func open(_ version: String = "2025-11-25", token: String? = nil) async throws -> [String: String] {
    let bearer = token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
    let response = try await request(
      "POST", "/mcp", bearer,
      Self.legacy(
        "initialize",
        ["protocolVersion": .string(version), "capabilities": [:], "clientInfo": ["name": "test", "version": "0"]]))
    let id = try #require(response.fields["mcp-session-id"])
    let fields = ["Mcp-Session-Id": id, "MCP-Protocol-Version": version].merging(bearer) { $1 }
    let noted = try await request("POST", "/mcp", fields, Self.legacy("notifications/initialized", id: nil))
    #expect(noted.status == 202 && noted.body.isEmpty)
    return fields
  }
}

/// A response as it came.
struct WebResponse {
  var status: Int
  var fields: [String: String]
  var body: [UInt8]

  var text: String { String(decoding: body, as: UTF8.self) }
  var isStream: Bool { fields["content-type"] == "text/event-stream" }
  var events: [WebEvent] { WebEvent.all(in: text) }
  /// The JSON body, or that of the last event.
  var message: JSONValue? {
    isStream ? events.last?.message : try? JSONValue(parsing: body)
  }
  var failure: Int64? { message?["error"]?["code"]?.int }
}

/// One server-sent event.
struct WebEvent {
  var id: String?
  var data: String

  var message: JSONValue? { try? JSONValue(parsing: data) }

  /// The complete events of a text; comments are passed over.
  static func all(in text: String) -> [WebEvent] {
    var events: [WebEvent] = []
    var event = WebEvent(data: "")
    var hasData = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.isEmpty {
        if hasData { events.append(event) }
        event = WebEvent(data: "")
        hasData = false
      } else if line.hasPrefix("id: ") {
        event.id = String(line.dropFirst(4))
      } else if line.hasPrefix("data: ") {
        event.data += line.dropFirst(6)
        hasData = true
      }
    }
    return events
  }
}

/// One connection of a client; confined to its loop.
final class WebClient: @unchecked Sendable {
  let stream: ByteStream
  private var received: [UInt8] = []
  private(set) var hasEnded = false
  private let changed: Waiters<Void>

  init(_ stream: ByteStream) {
    self.stream = stream
    changed = Waiters(loop: stream.loop)
    stream.start(
      onBytes: { [unowned self] in
        received += [UInt8](copying: $0)
        changed.resumeAll(())
      },
      onClose: { [unowned self] _ in
        hasEnded = true
        changed.resumeAll(())
      })
  }

  func send(_ text: String) { stream.write(Array(text.utf8)) }

  struct Missing: Error {}

  func wait(_ limit: Duration = .seconds(10), for condition: () -> Bool) async throws {
    let deadline = stream.loop.now.advanced(by: limit)
    while !condition() {
      guard case .value = await changed.wait(changed.ticket(), until: deadline) else {
        if condition() { return }
        Issue.record("it did not come; got \(String(decoding: received.suffix(1500), as: UTF8.self))")
        throw Missing()
      }
    }
  }

  /// The response so far; `isWhole` where its end has come.
  var parsed: (response: WebResponse, isWhole: Bool)? {
    let text = String(decoding: received, as: UTF8.self)
    guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
    let lines = text[..<end.lowerBound].split(separator: "\r\n")
    guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
    var fields: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      fields[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
    }
    let rest = text[end.upperBound...]
    var response = WebResponse(status: status, fields: fields, body: Array(rest.utf8))
    if fields["transfer-encoding"] == "chunked" {
      let (body, isWhole) = Self.unchunked(Array(rest.utf8))
      response.body = body
      return (response, isWhole)
    }
    return (response, response.body.count >= fields["content-length"].flatMap { Int($0) } ?? 0)
  }

  private static func unchunked(_ bytes: [UInt8]) -> ([UInt8], Bool) {
    var rest = bytes[...]
    var body: [UInt8] = []
    while let end = rest.firstIndex(of: UInt8(ascii: "\r")) {
      guard let size = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16),
        rest.count >= end - rest.startIndex + size + 4
      else { break }
      if size == 0 { return (body, true) }
      body += rest[(end + 2)..<(end + 2 + size)]
      rest = rest[(end + 4 + size)...]
    }
    return (body, false)
  }

  /// The body so far.
  var bodyText: String { parsed?.response.text ?? "" }

  /// Waits for the whole response.
  func response() async throws -> WebResponse {
    try await wait { self.parsed?.isWhole == true }
    guard let parsed else { throw Missing() }
    return parsed.response
  }

  /// Waits for the head of a response.
  func head() async throws -> WebResponse {
    try await wait { self.parsed != nil }
    guard let parsed else { throw Missing() }
    return parsed.response
  }

  /// Waits until the stream has so many events, and returns them all.
  func events(_ count: Int) async throws -> [WebEvent] {
    try await wait { (self.parsed?.response.events.count ?? 0) >= count }
    return parsed?.response.events ?? []
  }

  /// Waits for an event that fits.
  func event(where fits: (JSONValue) -> Bool) async throws -> JSONValue {
    var found: JSONValue?
    try await wait {
      found = self.parsed?.response.events.compactMap(\.message).first(where: fits)
      return found != nil
    }
    guard let found else { throw Missing() }
    return found
  }
}
