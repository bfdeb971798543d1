import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime
import Testing

@testable import ParleyRemote

/// Whom sessions over HTTP post as, where no token names a handle (`sessions.identity`).
@Suite struct SessionNameTests {
  /// The token is the handle; without one nobody in particular.
  private struct Named: Authenticator {
    func authenticate(_ head: RequestHead) -> Authentication {
      guard let name = Bearer.token(of: head) else { return .known(Principal("anyone")) }
      return .known(Principal(name, holder: name, handle: Handle(name)))
    }
  }

  private static var offer: StdioServer.Offer {
    var compat = CompatOptions()
    compat.channels = Channels.Options()
    compat.guarded = [Handle("boss")]
    return .standard(compat: compat)
  }

  private static func use(
    perSession: Bool, _ body: @escaping @Sendable (RemoteWorld) async throws -> Void
  ) throws {
    try RemoteWorld.use(
      {
        $0.authenticator = Named()
        $0.livePush = .init()
        $0.namesSessions = perSession
      }, offer: offer, body)
  }

  private static func text(_ result: JSONValue?) -> String? { result?["content"]?[0]?["text"]?.string }

  private static func post(_ world: RemoteWorld, _ content: String, in session: [String: String]) async throws {
    let result = try await world.tool("parley_post", ["topic": "general", "content": .string(content)], in: session)
    #expect(result?["isError"] == nil, "\(result?.text ?? "nothing")")
  }

  /// A session with an open stream.
  private static func listening(
    _ world: RemoteWorld, token: String? = nil
  ) async throws -> (session: [String: String], stream: WebClient) {
    let session = try await world.open(token: token)
    let stream = try await world.begin("GET", "/mcp", session)
    #expect(try await stream.head().isStream)
    return (session, stream)
  }

  @Test func eachSessionThatCanBeReachedHasANumber() throws {
    try Self.use(perSession: true) { world async throws in
      let silent = try await world.open()
      // Before anything else: the post waits for the name.
      let one = try await Self.listening(world)
      try await Self.post(world, "first", in: one.session)
      try await Self.post(world, "without a stream", in: silent)
      let two = try await Self.listening(world)
      try await Self.post(world, "second", in: two.session)
      let own = try await Self.listening(world, token: "ada")
      try await Self.post(world, "by a token's handle", in: own.session)
      let messages = try await world.messages()
      #expect(messages.map(\.sender.name) == ["agent-1", "me", "agent-2", "ada"])
      #expect(Set(messages.map(\.instance)).count == 4)
      // Nobody who has no stream is listed, nor took a number.
      for session in [silent, one.session] {
        let list = Self.text(try await world.tool("list-agents", in: session))
        #expect(list?.hasPrefix("Connected agents: agent-1, agent-2, agent-3") == true, "\(list ?? "nothing")")
        #expect(list?.contains("you are") == (session == one.session))
      }
      let status = try await world.tool("parley_status", in: two.session)
      #expect(status?["structuredContent"]?["handle"]?.string == "agent-2")
      for stream in [one.stream, two.stream, own.stream] { stream.stream.close() }
    }
  }

  @Test func aNameThatIsChangedIsPostedUnderAndReached() throws {
    try Self.use(perSession: true) { world async throws in
      let one = try await Self.listening(world)
      let two = try await Self.listening(world)
      _ = try await world.tool("list-agents", in: one.session)
      _ = try await world.tool("list-agents", in: two.session)
      let renamed = try await world.tool("rename-agent", ["agentId": "planner"], in: one.session)
      #expect(Self.text(renamed) == #"Renamed from "agent-1" to "planner"."#)
      let refused = try await world.tool("rename-agent", ["agentId": "planner"], in: two.session)
      #expect(Self.text(refused) == #""planner" is already taken by another agent."#)
      let guarded = try await world.tool("rename-agent", ["agentId": "boss"], in: two.session)
      #expect(Self.text(guarded)?.hasPrefix(#""boss" cannot be used"#) == true)
      try await Self.post(world, "hello", in: one.session)
      let task = try await world.tool("parley_task_post", ["topic": "ops", "title": "t"], in: one.session)
      #expect(task?["structuredContent"]?["task"]?["postedBy"]?.string == "planner", "\(task?.text ?? "nothing")")
      #expect(try await world.messages().last?.sender.name == "planner")
      let arguments: JSONValue = ["topic": "general", "content": "for one alone", "to": "planner"]
      _ = try await world.tool("parley_post", arguments, in: two.session)
      try await world.post("to all")
      let channel: @Sendable (JSONValue) -> Bool = { $0["method"] == "notifications/claude/channel" }
      let pushed = try await one.stream.event { channel($0) && $0["params"]?["content"] == "for one alone" }
      #expect(pushed["params"]?["meta"]?["sender"]?.string == "agent-2")
      let third = try await Self.listening(world)
      _ = try await third.stream.event { channel($0) && $0["params"]?["content"] == "to all" }
      #expect(!third.stream.bodyText.contains("for one alone"))
      // Its end frees the name.
      #expect(try await world.request("DELETE", "/mcp", one.session).status == 204)
      let deadline = world.soon
      var list: String?
      repeat {
        list = Self.text(try await world.tool("list-agents", in: two.session))
      } while list?.contains("planner") == true && world.loop.now < deadline
      #expect(list == #"Connected agents: agent-2, agent-3 (you are "agent-2")"#)
      for stream in [one.stream, two.stream, third.stream] { stream.stream.close() }
    }
  }

  @Test func sharedIsTheConfiguredHandle() throws {
    try Self.use(perSession: false) { world async throws in
      let one = try await Self.listening(world)
      let list = Self.text(try await world.tool("list-agents", in: one.session))
      #expect(list == #"Connected agents: agent-1 (you are "agent-1")"#)
      try await Self.post(world, "hello", in: one.session)
      #expect(try await world.messages().map(\.sender.name) == ["me"])
      one.stream.stream.close()
    }
  }
}
