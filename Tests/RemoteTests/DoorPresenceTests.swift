import ParleyConformance
import ParleyCoordination
import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime
import Testing

@testable import ParleyRemote

/// Handles that tokens name are in the roster while somebody uses them.
@Suite struct DoorPresenceTests {
  /// The token is the handle.
  private struct Named: Authenticator {
    func authenticate(_ head: RequestHead) -> Authentication {
      guard let name = Bearer.token(of: head) else { return .refused(Bearer.challenge()) }
      return .known(Principal(name, handle: Handle(name)))
    }
  }

  private static func use(
    lingering: Duration = .milliseconds(300), _ body: @escaping @Sendable (RemoteWorld) async throws -> Void
  ) throws {
    try RemoteWorld.use(
      {
        $0.authenticator = Named()
        $0.livePush = StdioServer.LivePush()
        var presence = Presence.Options()
        presence.listens = .all
        presence.party = .bot
        presence.status = "the door's own"
        $0.presence = presence
        $0.presenceLingering = lingering
      }, body)
  }

  private static func bearer(_ name: String) -> [String: String] { ["Authorization": "Bearer \(name)"] }

  /// Who is online, looked at until it fits.
  private static func waitFor(
    _ world: RemoteWorld, _ fits: (_ online: [String: JSONValue]) -> Bool
  ) async throws {
    let deadline = world.soon
    var online: [String: JSONValue] = [:]
    repeat {
      let users = try await world.request("GET", "/v1/users?online_only=true", bearer("me")).message?["users"]
      online = Dictionary(
        (users?.array ?? []).map { ($0["handle"]?.string ?? "", $0) }, uniquingKeysWith: { first, _ in first })
      if fits(online) { return }
      await world.loop.sleep(for: .milliseconds(10))
    } while world.loop.now < deadline
    Issue.record("\(online)")
  }

  @Test func aStreamKeepsAHandleThere() throws {
    try Self.use { world async throws in
      let opened = try await world.request(
        "POST", "/mcp", Self.bearer("coder"),
        RemoteWorld.legacy(
          "initialize",
          ["protocolVersion": "2025-11-25", "capabilities": [:], "clientInfo": ["name": "test", "version": "0"]]))
      let session = Self.bearer("coder").merging(["Mcp-Session-Id": try #require(opened.fields["mcp-session-id"])]) {
        $1
      }
      // The call alone: there, but it must look by itself.
      try await Self.waitFor(world) { $0["coder"]?["listens"] == "none" && $0["coder"]?["kind"] == "agent" }
      let stream = try await world.begin("GET", "/mcp", session)
      _ = try await stream.head()
      try await Self.waitFor(world) { $0["coder"]?["listens"] == "all" }
      // Longer than calls count.
      await world.loop.sleep(for: .milliseconds(700))
      try await Self.waitFor(world) { $0["coder"] != nil }
      stream.stream.close()
      try await Self.waitFor(world) { $0["coder"] == nil }
      // What the configuration says of the door is not said of others.
      try await Self.waitFor(world) { $0["me"]?["kind"] == "bot" && $0["me"]?["status"] == "the door's own" }
    }
  }

  @Test func aCallCountsForAWhile() throws {
    try Self.use { world async throws in
      let posted = try await world.request(
        "POST", "/v1/messages", Self.bearer("ci"), #"{"topic":"ops","content":"built"}"#)
      #expect(posted.status == 200)
      try await Self.waitFor(world) { $0["ci"]?["listens"] == "none" }
      let goodbyes = { () async throws in
        try await world.messages(on: "parley-presence").filter {
          $0.sender == Handle("ci") && $0.content.contains("goodbye")
        }
      }
      try await Self.waitFor(world) { $0["ci"] == nil }
      #expect(try await goodbyes().count == 1)
      // And again, when it comes again.
      _ = try await world.request("GET", "/v1/topics", Self.bearer("ci"))
      try await Self.waitFor(world) { $0["ci"] != nil }
    }
  }

  @Test func theServersEndIsAGoodbye() throws {
    try Self.use(lingering: .seconds(60)) { world async throws in
      _ = try await world.request("GET", "/v1/topics", Self.bearer("ci"))
      try await Self.waitFor(world) { $0["ci"] != nil }
      await world.server.end()
      let deadline = world.soon
      var goodbyes = 0
      repeat {
        await world.loop.sleep(for: .milliseconds(10))
        goodbyes = world.store.history(of: Topic("parley-presence")).count { $0.content.contains("goodbye") }
      } while goodbyes < 2 && world.loop.now < deadline
      // One of each: who asked, and who was looked for.
      #expect(goodbyes == 2)
    }
  }
}
