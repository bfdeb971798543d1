import ParleyMCP
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRemote

/// `/v1` as scripts use it.
@Suite struct APITests {
  private static let json = ["Content-Type": "application/json", "Accept": "application/json"]

  private static func bearer(_ token: String) -> [String: String] {
    json.merging(["Authorization": "Bearer \(token)"]) { $1 }
  }

  @Test func aMessageIsPostedOnceAndReadByPages() throws {
    try RemoteWorld.use { world async throws in
      let body = #"{"topic":"general","content":"built","key":"ci-1","attributes":{"job":"docs"}}"#
      let first = try await world.request("POST", "/v1/messages", Self.json, body)
      #expect(first.status == 200)
      let again = try await world.request("POST", "/v1/messages", Self.json, body)
      #expect(again.message?["backendMsgId"] == first.message?["backendMsgId"])
      #expect(again.message?["duplicate"]?.bool == true)
      try await world.post("two")
      let page = try await world.request("GET", "/v1/messages?topic=general&limit=1", Self.json)
      #expect(page.message?["messages"]?.array?.compactMap { $0["content"]?.string } == ["two"])
      let since = try #require(first.message?["cursor"]?.string)
      let rest = try await world.request(
        "GET", "/v1/messages?topic=general&since=\(FormFields.encode(since))", Self.json)
      #expect(rest.message?["messages"]?.array?.compactMap { $0["content"]?.string } == ["two"])
      let before = try #require(page.message?["previousCursor"]?.string)
      let older = try await world.request(
        "GET", "/v1/messages?topic=general&before=\(FormFields.encode(before))", Self.json)
      #expect(older.message?["messages"]?.array?.first?["attributes"]?["job"]?.string == "docs")
    }
  }

  @Test func aWaitingReadEndsWithTheFirstMessage() throws {
    try RemoteWorld.use { world async throws in
      let waiting = try await world.begin("GET", "/v1/messages?topic=general&wait=30", Self.json)
      try await world.waitForCall()
      try await world.post("news")
      let response = try await waiting.response()
      #expect(response.message?["messages"]?.array?.first?["content"]?.string == "news")
      waiting.stream.close()
    }
  }

  @Test func tasksAreHandedOverAndListed() throws {
    try RemoteWorld.use { world async throws in
      let posted = try await world.request(
        "POST", "/v1/tasks", Self.json, #"{"topic":"ops","title":"build the docs"}"#)
      let id = try #require(posted.message?["task"]?["task"]?.string)
      let claimed = try await world.request("POST", "/v1/tasks/claim", Self.json, #"{"topic":"ops"}"#)
      let fence = try #require(claimed.message?["task"]?["fence"]?.string)
      let done = try await world.request(
        "POST", "/v1/tasks/update", Self.json,
        #"{"task":"\#(id)","action":"done","fence":"\#(fence)","text":"3 pages"}"#)
      #expect(done.message?["task"]?["status"]?.string == "done")
      let list = try await world.request("GET", "/v1/tasks?topic=ops", Self.json)
      #expect(list.message?["tasks"]?[0]?["result"]?.string == "3 pages")
      let unknown = try await world.request(
        "POST", "/v1/tasks/update", Self.json, #"{"task":"ffff","action":"cancel"}"#)
      #expect(unknown.status == 404)
    }
  }

  @Test func topicsAndUsersAreListed() throws {
    try RemoteWorld.use { world async throws in
      try await world.post("hello")
      let topics = try await world.request("GET", "/v1/topics", Self.json)
      #expect(topics.message?["topics"]?.array?.compactMap { $0["topic"]?.string } == ["general", "ops"])
      let users = try await world.request("GET", "/v1/users?filter=b*", Self.json)
      #expect(users.message?["users"]?.array?.compactMap { $0["handle"]?.string } == ["bob"])
    }
  }

  @Test func scopesAreKept() throws {
    try RemoteWorld.use({ options in
      options.authenticator = Keys(scopes: ["r": .reading, "p": .usual, "a": Scopes([.admin]), "l": Scopes([.relay])])
    }) { world async throws in
      let post = #"{"topic":"general","content":"x"}"#
      for (token, reads, posts) in [
        ("r", 200, 403), ("p", 200, 200), ("a", 403, 403), ("l", 403, 403), ("z", 401, 401),
      ] {
        let fields = Self.bearer(token)
        #expect(try await world.request("GET", "/v1/messages?topic=general", fields).status == reads)
        #expect(try await world.request("GET", "/v1/openapi.json", fields).status == reads)
        #expect(try await world.request("POST", "/v1/messages", fields, post).status == posts)
        #expect(try await world.request("POST", "/v1/tasks", fields, #"{"topic":"ops","title":"t"}"#).status == posts)
        #expect(try await world.request("POST", "/v1/inject", fields, "x").status == posts)
        let relay = token == "l" ? 200 : (token == "z" ? 401 : 403)
        #expect(try await world.request("POST", "/relay/traits", fields, "{}").status == relay)
      }
    }
  }

  @Test(arguments: [
    ("GET", "/v1/messages", "", 400), ("GET", "/v1/messages?topic=secret", "", 403),
    ("GET", "/v1/messages?topic=general&topic=ops", "", 400), ("GET", "/v1/messages?topic=general&limit=0", "", 400),
    ("GET", "/v1/messages?topic=general&sinc=1", "", 400), ("GET", "/v1/messages?topic=%ff", "", 400),
    ("GET", "/v1/messages?topic=general&since=redis.a.1", "", 400), ("GET", "/v1/messages?topic=@me", "", 403),
    ("GET", "/v1/messages?topic=general&since=1&before=2", "", 400), ("DELETE", "/v1/messages", "", 405),
    ("POST", "/v1/messages", "{", 400), ("POST", "/v1/messages", "[]", 400),
    ("POST", "/v1/messages", #"{"topic":"general"}"#, 400),
    ("POST", "/v1/messages", #"{"topic":"general","content":"\ud800"}"#, 400),
    ("POST", "/v1/messages", #"{"topic":"general","content":"a\u0000"}"#, 400),
    ("POST", "/v1/messages", #"{"topic":"general","content":"a","attributes":{"parley.door":"x"}}"#, 400),
    ("POST", "/v1/tasks/claim", "{}", 400), ("GET", "/v1/nothing", "", 404), ("GET", "/v1/messages/", "", 404),
  ])
  func whatIsWrongIsRefused(_ method: String, _ path: String, _ body: String, _ status: Int) throws {
    try RemoteWorld.use { world async throws in
      let response = try await world.request(method, path, Self.json, body)
      #expect(response.status == status, "\(response.text)")
      #expect(response.message?["error"]?["code"]?.string?.isEmpty == false)
    }
  }

  @Test func theDocumentNamesEveryOperationWithItsSchemas() throws {
    try RemoteWorld.use { world async throws in
      let document = try #require(try await world.request("GET", "/v1/openapi.json", Self.json).message)
      #expect(document["openapi"]?.string == "3.1.0")
      let paths = try #require(document["paths"]?.object)
      #expect(
        paths.members.map(\.name) == [
          "/v1/openapi.json", "/v1/topics", "/v1/messages", "/v1/tasks", "/v1/tasks/claim", "/v1/tasks/update",
          "/v1/users", "/v1/inject",
        ])
      let post = paths["/v1/messages"]?["post"]
      let required = post?["requestBody"]?["content"]?["application/json"]?["schema"]?["required"]
      #expect(required?.array == ["topic", "content"])
      #expect(post?["responses"]?["default"] != nil)
    }
  }

  /// Every path below `/v1` that a source of the door names is described, and what is described is served.
  @Test func theDocumentIsWholeAndTrue() throws {
    let folder = try TemporaryDirectory()
    try RemoteWorld.use(
      adjusting: { options, _ in options.keys = try FileAuthStore(folder.path("auth.store")) },
      { world async throws in
        let document = try #require(try await world.request("GET", "/v1/openapi.json", Self.json).message)
        let paths = try #require(document["paths"]?.object)
        #expect(Set(paths.members.map(\.name)) == (try await Self.pathsInSources(world.loop)))
        for (path, operations) in paths.members {
          for (method, operation) in operations.object?.members ?? [] {
            let answer = try await world.request(method.uppercased(), path, Self.json, "{}")
            #expect(![404, 405].contains(answer.status) && answer.status < 500, "\(method) \(path): \(answer.text)")
            #expect(operation["responses"]?["default"] != nil)
          }
        }
        let key = paths["/v1/keys"]?["post"]
        #expect(key?["security"]?.array?.isEmpty == true && key?["responses"]?["201"] != nil)
        let given = try await world.request("POST", "/v1/keys", Self.json, #"{"agent_label":"ada"}"#)
        #expect(given.status == 201)
        let schema = key?["responses"]?["201"]?["content"]?["application/json"]?["schema"]
        let required = schema?["required"]?.array?.compactMap(\.string)
        #expect(given.message?.object?.members.map(\.name) == required)
      })
    withExtendedLifetime(folder) {}
  }

  private static func pathsInSources(_ loop: EventLoop) async throws -> Set<String> {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(4).joined(separator: "/")
    let grep = try ChildProcess(
      loop: loop, path: "/bin/grep", arguments: ["-rhoE", #""/v1/[a-z./]+""#, "\(root)/Sources/Remote"])
    grep.closeInput()
    #expect(await grep.waitForExit(until: loop.now.advanced(by: .seconds(10))) == .status(0))
    return Set(grep.outputLines.map { String($0.dropFirst().dropLast()) })
  }

  @Test func whatIsInjectedIsPushedAndNoCommand() throws {
    try RemoteWorld.use({ $0.livePush = .init() }) { world async throws in
      let task = try await world.request("POST", "/v1/tasks", Self.json, #"{"topic":"ops","title":"t"}"#)
      let id = try #require(task.message?["task"]?["task"]?.string)
      let session = try await world.open()
      let stream = try await world.begin("GET", "/mcp", session)
      _ = try await stream.head()
      let injected = try await world.request(
        "POST", "/v1/inject?topic=ops&source=backup&severity=error", ["Content-Type": "text/plain"], "!claim \(id)")
      #expect(injected.status == 200)
      let push = try await stream.event {
        $0["method"]?.string == "notifications/claude/channel" && $0["params"]?["meta"]?["source"] != nil
      }
      #expect(push["params"]?["content"]?.string == "!claim \(id)")
      #expect(push["params"]?["meta"]?["severity"]?.string == "error")
      #expect(push["params"]?["meta"]?["kind"]?.string == "event")
      let list = try await world.request("GET", "/v1/tasks?topic=ops", Self.json)
      #expect(list.message?["tasks"]?[0]?["status"]?.string == "open")
      stream.stream.close()
    }
  }

  @Test func whatComesFromElsewhereIsNotInjected() throws {
    try RemoteWorld.use { world async throws in
      for field in ["X-Forwarded-For", "Forwarded"] {
        let response = try await world.request("POST", "/v1/inject", [field: "for=203.0.113.9"], "x")
        #expect(response.status == 403)
      }
    }
  }

  /// A token that is taken back while its bearer waits gets nothing that came since.
  @Test func aRevokedTokenGetsNoNews() throws {
    let keys = Keys(scopes: ["r": .reading])
    try RemoteWorld.use({ $0.authenticator = keys }) { world async throws in
      let waiting = try await world.begin("GET", "/v1/messages?topic=general&wait=30", Self.bearer("r"))
      try await world.waitForCall()
      keys.revoke("r")
      try await world.post("secret")
      let response = try await waiting.response()
      #expect(response.status == 401 && !response.text.contains("secret"))
      waiting.stream.close()
    }
  }
}
