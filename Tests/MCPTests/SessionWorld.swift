import CLinux
import Glibc
import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyMCP

/// A server on real pipes with a simulated backend, and a client of it, all on one loop.
final class SessionWorld: @unchecked Sendable {
  let loop: EventLoop
  let store: SimulatedStore
  let supervisor: Supervisor
  let client: TestClient
  private var hasServerEnded = false
  private let serverEnd: Waiters<Void>
  let setup: Hub.Setup

  private init(loop: EventLoop, settings: Settings, client: TestClient) {
    self.loop = loop
    self.client = client
    serverEnd = Waiters(loop: loop)
    store = SimulatedStore(loop: loop)
    var setup = Hub.Setup(author: Author(handle: Handle("me"), instance: "instance-me"), topics: settings.topics)
    setup.patience = .milliseconds(300)
    settings.adjust(&setup)
    self.setup = setup
    supervisor = Supervisor(loop: loop, backend: SimulatedBackend(store: store))
  }

  struct Settings: Sendable {
    var topics = [Topic("general"), Topic("ops")]
    var livePush: StdioServer.LivePush?
    var catchUp = StdioServer.CatchUp()
    var tools: [any Tool] = [EchoTool(), PostTool(), HangTool(), StepsTool(), FetchTool()]
    var resources: (any ResourceProvider)? = TestResources()
    var prompts: (any PromptProvider)? = TestPrompts()
    var isUp = true
    var adjust: @Sendable (inout Hub.Setup) -> Void = { _ in }
    /// Runs before the server starts.
    var prepare: @Sendable (SessionWorld) async -> Void = { _ in }
  }

  /// Runs `body` beside a server; the server must end when the client's side is closed.
  static func run(
    _ settings: Settings = Settings(), _ body: @escaping @Sendable (SessionWorld) async throws -> Void
  ) throws {
    let loop = try EventLoop(name: "test")
    let failure: (any Error)? = try loop.run {
      do {
        try await serve(loop, settings, body)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  private static func serve(
    _ loop: EventLoop, _ settings: Settings, _ body: @Sendable (SessionWorld) async throws -> Void
  ) async throws {
    let toServer = try Pipe()
    let fromServer = try Pipe()
    let client = try TestClient(loop: loop, read: fromServer.read, write: toServer.write)
    let world = SessionWorld(loop: loop, settings: settings, client: client)
    if !settings.isUp { world.store.restart(downtime: .seconds(3600)) }
    await settings.prepare(world)
    var options = StdioServer.Options(version: "1.2.3")
    options.livePush = settings.livePush
    options.catchUp = settings.catchUp
    let server = try StdioServer(
      hub: world.setup, supervisor: world.supervisor,
      offer: StdioServer.Offer(tools: settings.tools, resources: settings.resources, prompts: settings.prompts),
      options: options, streams: StdioServer.Streams(input: toServer.read, output: fromServer.write))
    let ended = loop.spawn {
      do throws(SystemError) { try await server.run() } catch { Issue.record("\(error)") }
      world.hasServerEnded = true
      world.serverEnd.resumeAll(())
      toServer.closeRead()
      fromServer.closeWrite()
    }
    do {
      try await body(world)
    } catch {
      client.close()
      await ended.value
      throw error
    }
    client.close()
    await ended.value
  }

  /// Waits for the server's end; false when it does not come.
  func serverEnds() async -> Bool {
    if !hasServerEnded { _ = await serverEnd.wait(serverEnd.ticket(), until: loop.now.advanced(by: .seconds(5))) }
    return hasServerEnded
  }

  /// Stores a message of another participant.
  @discardableResult
  func post(
    _ content: String, on topic: String = "general", as handle: String = "bob", to: String? = nil,
    attributes: Attributes = [:], inReplyTo: String? = nil
  ) async throws -> Receipt {
    number += 1
    let draft = Draft(
      topic: Topic(topic), author: Author(handle: Handle(handle), instance: "instance-\(handle)"), content: content,
      key: .generated("k\(number)"), inReplyTo: inReplyTo.map(MessageID.init), to: to.map(Handle.init),
      attributes: attributes)
    return try await supervisor.post(draft, deadline: loop.now.advanced(by: .seconds(5)))
  }

  private var number = 0
}

/// Two descriptors of a pipe.
final class Pipe: Sendable {
  let read: CInt
  let write: CInt

  init() throws {
    var ends: [CInt] = [-1, -1]
    try SystemError.check("pipe2", parley_pipe(&ends))
    (read, write) = (ends[0], ends[1])
  }

  func closeRead() { _ = close(read) }
  func closeWrite() { _ = close(write) }
}

/// The host's side of a session: sends lines, waits for messages.
final class TestClient: @unchecked Sendable {
  let loop: EventLoop
  private let readEnd: CInt
  private let writeEnd: CInt
  private var reader: LineReader?
  private var writer: LineWriter?
  private(set) var received: [JSONValue] = []
  private(set) var rawLines: [[UInt8]] = []
  private var taken: Set<Int> = []
  private(set) var hasEnded = false
  private let news: Waiters<Void>

  init(loop: EventLoop, read: CInt, write: CInt) throws {
    self.loop = loop
    readEnd = read
    writeEnd = write
    news = Waiters(loop: loop)
    writer = try LineWriter(loop: loop, descriptor: write) { _ in }
    reader = LineReader(loop: loop, descriptor: read, limit: 64 << 20) { [unowned self] in take($0) }
    try reader?.start()
  }

  private func take(_ event: LineReader.Event) {
    switch event {
    case .line(let line):
      rawLines.append(line)
      do { received.append(try JSONValue(parsing: line)) } catch {
        Issue.record("not JSON: \(String(decoding: line, as: UTF8.self).prefix(200)): \(error)")
      }
    case .end: hasEnded = true
    default: Issue.record("client: \(event)")
    }
    news.resumeAll(())
  }

  func pause() { reader?.pause() }
  func resume() { reader?.resume() }

  func send(_ line: String) { writer?.append(Array(line.utf8)) }
  func send(bytes: [UInt8]) { writer?.append(bytes) }

  /// Bytes without a newline, then the end of input.
  func sendTail(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { Glibc.write(writeEnd, $0.baseAddress, $0.count) }
  }

  /// Closes the server's input.
  func closeInput() {
    guard let writer else { return }
    writer.close()
    self.writer = nil
    _ = Glibc.close(writeEnd)
  }

  /// Closes the side that reads the server's output.
  func closeOutput() {
    guard let reader else { return }
    reader.stop()
    self.reader = nil
    _ = Glibc.close(readEnd)
  }

  func close() {
    closeInput()
    closeOutput()
  }

  /// Waits until what was sent has left.
  func flushed() async { await writer?.emptied(until: loop.now.advanced(by: .seconds(5))) }

  /// The first message not taken yet that fits, waiting for it.
  func next(
    _ what: String = "a message", within limit: Duration = .seconds(5),
    sourceLocation: SourceLocation = #_sourceLocation,
    where fits: (JSONValue) -> Bool = { _ in true }
  ) async throws -> JSONValue {
    let deadline = loop.now.advanced(by: limit)
    while true {
      for index in received.indices where !taken.contains(index) && fits(received[index]) {
        taken.insert(index)
        return received[index]
      }
      guard !hasEnded, case .value = await news.wait(news.ticket(), until: deadline) else {
        Issue.record(
          "no \(what) came; got \(received.suffix(5).map { $0.text.prefix(300) })", sourceLocation: sourceLocation)
        throw Missing()
      }
    }
  }

  struct Missing: Error {}

  /// Waits until the server has closed its output.
  func end() async throws {
    let deadline = loop.now.advanced(by: .seconds(5))
    while !hasEnded {
      guard case .value = await news.wait(news.ticket(), until: deadline) else { throw Missing() }
    }
  }

  func answer(
    to id: JSONValue, within limit: Duration = .seconds(5), sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> JSONValue {
    try await next("answer to \(id.text)", within: limit, sourceLocation: sourceLocation) {
      $0["id"] == id && $0["method"] == nil
    }
  }

  func notification(
    _ method: String, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> JSONValue {
    try await next(method, sourceLocation: sourceLocation) { $0["method"]?.string == method }
  }

  /// A request and its answer.
  func call(
    _ method: String, id: JSONValue, _ params: JSONValue? = nil, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> JSONValue {
    request(method, id: id, params)
    return try await answer(to: id, sourceLocation: sourceLocation)
  }

  func request(_ method: String, id: JSONValue, _ params: JSONValue? = nil) {
    var message: JSONObject = ["jsonrpc": "2.0", "id": id, "method": .string(method)]
    message["params"] = params
    send(JSONValue.object(message).text)
  }

  func notify(_ method: String, _ params: JSONValue? = nil) {
    var message: JSONObject = ["jsonrpc": "2.0", "method": .string(method)]
    message["params"] = params
    send(JSONValue.object(message).text)
  }

  /// The handshake.
  @discardableResult
  func initialize(_ version: String = "2025-11-25") async throws -> JSONValue {
    let answer = try await call(
      "initialize", id: "init",
      ["protocolVersion": .string(version), "capabilities": [:], "clientInfo": ["name": "test", "version": "0"]])
    notify("notifications/initialized")
    return answer
  }

  func tool(_ name: String, id: JSONValue, _ arguments: JSONValue = [:]) async throws -> JSONValue {
    try await call("tools/call", id: id, ["name": .string(name), "arguments": arguments])
  }

  /// A round trip, after which everything that was sent before has been handled.
  func ping(_ id: JSONValue = "ping") async throws {
    #expect(try await call("ping", id: id)["result"] == [:])
  }
}
