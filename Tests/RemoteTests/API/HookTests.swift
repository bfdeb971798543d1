import ParleyHTTPServer
import ParleyRuntime
import ParleyTLS
import ParleyTestKit
import Testing

@testable import ParleyRemote

/// Incoming webhooks: who may send, what becomes of it, and that nothing comes twice.
@Suite struct HookTests {
  private static let secret = "a secret of some length"
  private static let push = #"{"action":"opened","repository":{"full_name":"ada/engine"},"sender":{"login":"bob"}}"#

  private static func use(
    _ adjust: @escaping @Sendable (inout [Hook]) -> Void = { _ in },
    _ body: @escaping @Sendable (RemoteWorld) async throws -> Void
  ) throws {
    let folder = try TemporaryDirectory()
    try RemoteWorld.use(
      adjusting: { options, _ in
        var hooks = [
          Hook(name: "forge", topic: Topic("general"), kind: .github, secret: secret, template: nil),
          Hook(
            name: "alarm", topic: Topic("ops"), kind: .standard, secret: secret, template: "{level}: {checks.1.name}"),
        ]
        hooks[1].severity = "critical"
        adjust(&hooks)
        options.hooks = (hooks, try FileAuthStore(folder.path("auth.store")))
      }, body)
    withExtendedLifetime(folder) {}
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  private static func github(_ body: String, secret: String = secret) -> [String: String] {
    let code = Digest.sha256.authenticate(Array(body.utf8), key: Array(secret.utf8))
    return ["X-Hub-Signature-256": "sha256=\(hexadecimal(code))", "X-GitHub-Event": "pull_request"]
  }

  private static func standard(_ body: String, at seconds: Int64, id: String = "m1") -> [String: String] {
    let code = Digest.sha256.authenticate(Array("\(id).\(seconds).\(body)".utf8), key: Array(secret.utf8))
    return [
      "webhook-id": id, "webhook-timestamp": "\(seconds)", "webhook-signature": "v1,bm9uZQ== v1,\(Base64.encode(code))",
    ]
  }

  private static func messages(_ world: RemoteWorld, on topic: String) async throws -> [JSONValue] {
    try await world.request("GET", "/v1/messages?topic=\(topic)").message?["messages"]?.array ?? []
  }

  @Test func aSignedRequestBecomesAMessageOnce() throws {
    try Self.use { world async throws in
      let response = try await world.request("POST", "/hooks/forge", Self.github(Self.push), Self.push)
      #expect(response.status == 200, "\(response.text)")
      let again = try await world.request("POST", "/hooks/forge", Self.github(Self.push), Self.push)
      #expect(again.status == 409)
      let found = try await Self.messages(world, on: "general")
      #expect(found.compactMap { $0["content"]?.string } == ["pull_request opened in ada/engine by bob"])
      #expect(found.first?["senderHandle"]?.string == "forge")
      #expect(found.first?["provenance"]?.string == "claimed")
      #expect(found.first?["attributes"]?["source"]?.string == "forge")
    }
  }

  @Test func aTraceGoesInAndOutAgain() throws {
    try Self.use { world async throws in
      let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      let fields = Self.github(Self.push).merging(["traceparent": parent]) { $1 }
      #expect(try await world.request("POST", "/hooks/forge", fields, Self.push).status == 200)
      let found = try await Self.messages(world, on: "general")
      #expect(found.first?["attributes"]?["traceparent"]?.string == parent)
    }
  }

  /// GitHub's own example: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
  @Test func theSignatureIsGitHubs() throws {
    try Self.use({ $0[0].secret = "It's a Secret to Everybody" }) { world async throws in
      let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
      let response = try await world.request(
        "POST", "/hooks/forge", ["X-Hub-Signature-256": signature], "Hello, World!")
      #expect(response.status == 200)
    }
  }

  @Test func aTimestampCountsForFiveMinutes() throws {
    try Self.use { world async throws in
      let body = #"{"level":"red","checks":[{"name":"disk"},{"name":"fan"}]}"#
      let now = world.loop.wallClockMilliseconds / 1_000
      for seconds in [now - 310, now + 310] {
        let response = try await world.request("POST", "/hooks/alarm", Self.standard(body, at: seconds), body)
        #expect(response.status == 401)
      }
      let response = try await world.request("POST", "/hooks/alarm", Self.standard(body, at: now - 200), body)
      #expect(response.status == 200, "\(response.text)")
      // Signed anew, it is the same delivery all the same.
      let replay = try await world.request("POST", "/hooks/alarm", Self.standard(body, at: now, id: "m2"), body)
      #expect(replay.status == 409)
      let found = try await Self.messages(world, on: "ops")
      #expect(found.compactMap { $0["content"]?.string } == ["red: fan"])
      #expect(found.first?["attributes"]?["severity"]?.string == "critical")
    }
  }

  @Test func whatIsNotSignedRightIsRefused() throws {
    try Self.use { world async throws in
      var wrong = Self.github(Self.push, secret: "another secret of length")
      #expect(try await world.request("POST", "/hooks/forge", wrong, Self.push).status == 401)
      wrong["X-Hub-Signature-256"] = "sha256=zz"
      #expect(try await world.request("POST", "/hooks/forge", wrong, Self.push).status == 401)
      #expect(try await world.request("POST", "/hooks/forge", [:], Self.push).status == 401)
      #expect(try await world.request("POST", "/hooks/forge", Self.github(Self.push), Self.push + " ").status == 401)
      #expect(try await world.request("POST", "/hooks/none", Self.github(Self.push), Self.push).status == 404)
      #expect(try await world.request("GET", "/hooks/forge", Self.github("")).status == 405)
      #expect(try await Self.messages(world, on: "general").isEmpty)
    }
  }

  @Test func aLongBodyIsRefusedUnread() throws {
    try Self.use { world async throws in
      let body = String(repeating: "x", count: 300 << 10)
      #expect(try await world.request("POST", "/hooks/forge", Self.github(body), body).status == 413)
    }
  }

  /// What a hook says may look like a command of a person; it is none.
  @Test func noCommandIsReadInIt() throws {
    try Self.use({ $0[0].template = HookTemplate("{@body}") }) { world async throws in
      let fields = ["Content-Type": "application/json"]
      let task = try await world.request("POST", "/v1/tasks", fields, #"{"topic":"general","title":"t"}"#)
      let id = try #require(task.message?["task"]?["task"]?.string)
      let text = "!claim \(id)"
      #expect(try await world.request("POST", "/hooks/forge", Self.github(text), text).status == 200)
      let list = try await world.request("GET", "/v1/tasks?topic=general", fields)
      #expect(list.message?["tasks"]?[0]?["status"]?.string == "open")
    }
  }

  @Test(arguments: [
    ("{a}", #"{"a":"b"}"#, "b"), ("{a.b}", #"{"a":{"b":1}}"#, "1"), ("{{a}", "{}", "{a}"), ("{a", "{}", "{a"),
    ("[{nothing}]", "{}", "[]"), ("{a}", #"{"a":[1,2]}"#, "[1,2]"), ("{a}", "no json", "(nothing)"),
    ("{a.5}", #"{"a":[1]}"#, "(nothing)"), ("{a}", #"{"a":"x\u0000y"}"#, "xy"),
  ])
  func templatesAreFilled(_ template: String, _ body: String, _ text: String) {
    #expect(HookTemplate(template).text(Array(body.utf8), event: nil, limit: 100) == text)
  }

  @Test func aTextIsCutToItsLimit() {
    let text = HookTemplate("{@body}").text(Array(String(repeating: "é", count: 100).utf8), event: nil, limit: 50)
    #expect(text.utf8.count <= 50 && text.hasSuffix("é…"))
  }
}
