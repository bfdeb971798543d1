import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// `parley serve --http` as a real process, spoken to over plain sockets.
@Suite struct DoorTests {
  private static let token = "0123456789abcdef0123456789abcdef"

  /// A served door.
  private final class Door {
    let process: ChildProcess
    let port: FreePort
    let place: Workplace

    init(_ place: Workplace, http: String = "", program: [String] = []) async throws {
      self.place = place
      port = try FreePort()
      let block = "http: { listen: \"127.0.0.1:\(port.number)\", token: \(DoorTests.token) \(http) }"
      try place.write("door.yaml", Workplace.configuration("web", extra: block))
      let arguments = ["serve", "--http", "--config", place.folder.path("door.yaml")]
      if let shell = program.first {
        process = try ChildProcess(
          loop: place.loop, path: shell,
          arguments: program.dropFirst() + [try ChildProcess.parleyPath()] + arguments,
          environment: place.environment, directory: place.folder.path)
      } else {
        process = try place.start(arguments)
      }
      // It serves on when its input ends: it is no child of a client.
      process.closeInput()
      let isOpen = await process.wait(until: place.soon) { process in
        process.errorLines.contains { $0.contains("door open") } || process.exit != nil
      }
      try #require(isOpen && process.exit == nil, "\(process.errorLines)")
    }

    func connect() throws -> BlockingClient { try BlockingClient(port: port.number) }

    static func post(_ body: String, _ fields: String = "") -> String {
      "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(DoorTests.token)\r\n"
        + "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\(fields)"
        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    static func call(_ tool: String, _ arguments: String) -> String {
      let meta =
        #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#
      return post(
        #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\#(tool)","arguments":\#(arguments),\#(meta)}}"#,
        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: \(tool)\r\n")
    }

    /// Sends a request and returns the head of its response, as lines.
    func head(_ client: BlockingClient, _ request: String) throws -> [String] {
      try client.send(request)
      return try head(client)
    }

    func head(_ client: BlockingClient) throws -> [String] {
      var lines: [String] = []
      while true {
        let line = try client.line()
        if line.isEmpty { return lines }
        lines.append(line)
      }
    }

    /// The JSON of a response: its body, or the last event where the answer took long enough to become a stream.
    func body(_ client: BlockingClient, _ head: [String]) throws -> JSONValue? {
      if let length = head.first(where: { $0.hasPrefix("Content-Length: ") }).flatMap({ Int($0.dropFirst(16)) }) {
        return try JSONValue(parsing: client.bytes(length))
      }
      var answer: JSONValue?
      while true {
        let line = try client.line()
        if line.hasPrefix("data: {") { answer = try JSONValue(parsing: String(line.dropFirst(6))) }
        guard line == "0" else { continue }
        _ = try client.line()
        return answer
      }
    }

    func isHealthy() throws -> Bool {
      try head(connect(), "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").first == "HTTP/1.1 200 OK"
    }
  }

  @Test func whatIsPostedOverHTTPIsReadByTheOthersAndBack() throws {
    try Workplace.use { place async throws in
      let door = try await Door(place)
      let client = try door.connect()
      let head = try door.head(client, Door.call("parley_post", #"{"topic":"general","content":"from the web"}"#))
      #expect(head.first == "HTTP/1.1 200 OK", "\(head)")
      #expect(try door.body(client, head)?["result"]?["structuredContent"]?["backendMsgId"] == "1")
      #expect(try await place.run("fetch", "general").output.last?.hasSuffix("web> from the web") == true)
      _ = try await place.run("post", "general", "from the shell")
      let again = try door.head(client, Door.call("parley_fetch_recent", #"{"topic":"general"}"#))
      let messages = try door.body(client, again)?["result"]?["structuredContent"]?["messages"]?.array
      #expect(messages?.last?["content"] == "from the shell")
      // A stranger gets nothing.
      let stranger = try door.connect()
      #expect(
        try door.head(stranger, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}").first
          == "HTTP/1.1 401 Unauthorized")
      #expect(!door.process.errorLines.contains { $0.contains(Self.token) })
    }
  }

  @Test func aSessionIsPushedWhatTheCommandLinePosts() throws {
    try Workplace.use { place async throws in
      let door = try await Door(place)
      let client = try door.connect()
      let head = try door.head(
        client,
        Door.post(
          #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#
        ))
      let field = try #require(head.first { $0.hasPrefix("Mcp-Session-Id: ") })
      _ = try door.body(client, head)
      let noted = try door.head(
        client, Door.post(#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, field + "\r\n"))
      #expect(noted.first == "HTTP/1.1 202 Accepted")
      let stream = try door.connect()
      let opened = try door.head(
        stream,
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(Self.token)\r\n\(field)\r\n"
          + "Accept: text/event-stream\r\n\r\n")
      #expect(opened.contains("Content-Type: text/event-stream"))
      _ = try await place.run("post", "general", "look @web")
      var line = ""
      while !line.hasPrefix("data: ") || !line.contains("look @web") { line = try stream.line() }
      let event = try JSONValue(parsing: String(line.dropFirst(6)))
      #expect(event["method"] == "notifications/claude/channel" && event["params"]?["meta"]?["sender"] == "ada")
    }
  }

  @Test func endsWithinFiveSecondsAndTellsWhoeverWaits() throws {
    try Workplace.use { place async throws in
      let door = try await Door(place)
      let waiting = try door.connect()
      let head = try door.head(waiting, Door.call("parley_wait", #"{"timeout_ms":60000}"#))
      #expect(head.contains("Content-Type: text/event-stream"))
      let idle = try door.connect()
      #expect(try door.head(idle, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").first == "HTTP/1.1 200 OK")
      door.process.kill(SIGHUP)
      #expect(try door.isHealthy())
      let begin = place.loop.now
      door.process.kill(SIGTERM)
      // The stream ends properly.
      #expect(try waiting.rest().hasSuffix("0\r\n\r\n"))
      #expect(await door.process.waitForExit(until: place.soon) == .status(0))
      #expect(begin.duration(to: place.loop.now) < .seconds(5))
      #expect(throws: SystemError.self) { try door.connect() }
      #expect(door.process.outputLines.isEmpty)
    }
  }

  @Test func doorsThatWouldBeUnsafeStayShut() throws {
    try Workplace.use { place async throws in
      for (block, reason) in [
        ("", "http.token"),
        ("http: { listen: \"0.0.0.0:0\", token: \(Self.token) }", "in clear"),
        ("http: { listen: \"[::]:0\", insecure: true }", "loopback addresses and Unix sockets alone"),
        ("http: { listen: \"0.0.0.0:0\", trusted_proxies: [10.0.0.0/8] }", "http.token"),
      ] {
        try place.write("shut.yaml", Workplace.configuration("web", extra: block))
        let run = try await place.run("serve", "--http", "--config", "shut.yaml")
        #expect(run.status == 3 && run.errors.contains { $0.contains(reason) }, "\(block): \(run)")
      }
      for (block, path) in [
        ("http: { listen: \"localhost:1\" }", "http.listen.0"), ("http: { token: short }", "http.token"),
        ("http: { allow_from: [x] }", "http.allow_from.0"), ("http: { hosts: [\"a:1\"] }", "http.hosts.0"),
        ("http: { origins: [\"https://a/b\"] }", "http.origins.0"), ("http: { origins: [\"a\"] }", "http.origins.0"),
      ] {
        try place.write("shut.yaml", Workplace.configuration("web", extra: block))
        let run = try await place.run("config", "check", "--config", "shut.yaml")
        #expect(run.status == 3 && (run.output + run.errors).contains { $0.contains(path) }, "\(block): \(run)")
      }
    }
  }

  @Test func aUnixSocketNeedsNoToken() throws {
    try Workplace.use { place async throws in
      let path = place.folder.path("door.sock")
      try place.write(
        "door.yaml", Workplace.configuration("web", extra: "http: { listen: \"unix:\(path)\", insecure: true }"))
      let process = try place.start(["serve", "--http", "--config", place.folder.path("door.yaml")])
      #expect(await process.wait(until: place.soon) { $0.errorLines.contains { $0.contains("door open") } })
      var status = stat()
      #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
      process.kill(SIGINT)
      #expect(await process.waitForExit(until: place.soon) == .status(0))
      #expect(access(path, F_OK) != 0)
    }
  }

  @Test func aPortThatIsTakenIsAnError() throws {
    try Workplace.use { place async throws in
      let door = try await Door(place)
      let run = try await place.run("serve", "--http", "--config", "door.yaml")
      #expect(run.status == 1 && run.errors.contains { $0.contains("127.0.0.1:\(door.port.number)") }, "\(run)")
      #expect(try door.isHealthy())
    }
  }

  @Test func runningOutOfDescriptorsIsSurvived() throws {
    try Workplace.use { place async throws in
      let door = try await Door(place, program: ["/bin/sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\""])
      var clients: [BlockingClient] = []
      for _ in 0..<100 { clients.append(try door.connect()) }
      #expect(
        await door.process.wait(until: place.soon) {
          $0.errorLines.contains { $0.contains("no connection can be taken") }
        })
      clients = []
      #expect(try door.isHealthy())
      #expect(door.process.exit == nil)
    }
  }

  /// Many clients that connect and say nothing, or half of something, do not keep others out.
  @Test func halfOpenConnectionsDisturbNobody() throws {
    try Workplace.use { place async throws in
      let door = try await Door(place, http: ", connections: 500, head_timeout_ms: 2000")
      var clients: [BlockingClient] = []
      for number in 0..<1_000 {
        let client = try door.connect()
        if number.isMultiple(of: 2) { try client.send("POST /mcp HTTP/1.1\r\nHost: lo") }
        clients.append(client)
      }
      #expect(try door.isHealthy())
      let client = try door.connect()
      let head = try door.head(client, Door.call("parley_post", #"{"topic":"general","content":"still here"}"#))
      #expect(head.first == "HTTP/1.1 200 OK")
      // Those whose head does not come are told.
      #expect(try clients[998].line() == "HTTP/1.1 408 Request Timeout")
    }
  }
}
