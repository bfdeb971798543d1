import ParleyMCP
import ParleyRuntime
import Testing

@testable import ParleyRemote

/// W3C trace context: in with a request, kept with the message, out with pages and pushes.
@Suite struct TraceTests {
  private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
  private static let other = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"

  @Test(arguments: [
    (parent, true), ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true),
    ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-will-be", true), ("", false), ("00", false),
    ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false),
    ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
    ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
    ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
    ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false),
    ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more", false),
    ("00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", false), (parent + " ", false),
  ]) func wellFormedOnesAlone(_ text: String, _ isTaken: Bool) {
    #expect((TraceContext(parent: text) != nil) == isTaken)
  }

  @Test func statesThatCanBePassedOn() {
    #expect(TraceContext(parent: Self.parent, state: "congo=t61rcWkgMzE,rojo=1")?.state == "congo=t61rcWkgMzE,rojo=1")
    for state in ["", "no pair", "a=\u{e9}", "a=" + String(repeating: "x", count: 511)] {
      let context = TraceContext(parent: Self.parent, state: state)
      #expect(context?.parent == Self.parent && context?.state == nil, "\(state)")
    }
  }

  private static func last(_ world: RemoteWorld) async throws -> JSONValue? {
    let page = try await world.tool("parley_fetch_recent", ["topic": "general"])
    return page?["structuredContent"]?["messages"]?.array?.last?["attributes"]
  }

  private static func post(
    _ world: RemoteWorld, _ fields: [String: String], meta: JSONObject = [:], _ arguments: JSONObject = [:]
  ) async throws {
    var all: JSONObject = ["topic": "general", "content": "traced"]
    for (name, value) in arguments.members { all[name] = value }
    // RemoteWorld.modern has the members of _meta that every request needs.
    var message = try #require(
      try JSONValue(parsing: RemoteWorld.modern("tools/call", ["name": "parley_post", "arguments": .object(all)]))
        .object)
    var params = try #require(message["params"]?.object)
    var own = params["_meta"]?.object ?? [:]
    for (name, value) in meta.members { own[name] = value }
    params["_meta"] = .object(own)
    message["params"] = .object(params)
    let response = try await world.request(
      "POST", "/mcp", RemoteWorld.modernFields("tools/call", name: "parley_post").merging(fields) { $1 },
      JSONValue.object(message).text)
    #expect(response.status == 200 && response.message?["result"]?["isError"] == nil, "\(response.text)")
  }

  /// Whatever a request stores has its trace: tasks, conversations and webhooks too.
  @Test func itIsKeptWithAllThatARequestStores() throws {
    try RemoteWorld.use(offer: .standard(["task_post", "task_claim", "task_update", "conversations", "post"])) {
      world async throws in
      func call(_ name: String, _ arguments: JSONObject) async throws -> JSONValue? {
        let response = try await world.request(
          "POST", "/mcp",
          RemoteWorld.modernFields("tools/call", name: name).merging(["traceparent": Self.parent]) { $1 },
          RemoteWorld.modern("tools/call", ["name": .string(name), "arguments": .object(arguments)]))
        let result = response.message?["result"]
        #expect(result?["isError"] == nil, "\(response.text)")
        return result?["structuredContent"]
      }
      let task = try await call("parley_task_post", ["topic": "ops", "title": "t"])?["task"]?["task"]
      let id = try #require(task?.string)
      let claim = try await call("parley_task_claim", ["task": .string(id)])
      let fence = try #require(claim?["task"]?["fence"] ?? claim?["fence"])
      _ = try await call("parley_task_update", ["task": .string(id), "fence": fence, "action": "done"])
      let events = try await world.messages(on: "ops")
      #expect(events.count == 3 && events.allSatisfy { $0.attributes["traceparent"] == Self.parent }, "\(events)")
      let sent = try await call("parley_conversation", ["action": "send", "with": "bob", "content": "hello"])
      let topic = try #require(sent?["conversation"]?["conversation"]?.string)
      let said = try await world.messages(on: topic)
      #expect(said.last?.content == "hello" && said.last?.attributes["traceparent"] == Self.parent)
      let own = try await world.request(
        "POST", "/v1/tasks", ["traceparent": Self.other], #"{"topic":"ops","title":"by a script"}"#)
      #expect(own.status == 200)
      #expect(try await world.messages(on: "ops").last?.attributes["traceparent"] == Self.other)
      // Nothing of it stays: what comes after belongs to no trace.
      try await Self.post(world, [:])
      #expect(try await Self.last(world) == nil)
    }
  }

  /// With a key each attempt is the same message, though each is of a trace of its own.
  @Test func aRetryByKeyIsTheSameMessageInAnyTrace() throws {
    try RemoteWorld.use { world async throws in
      for trace in [Self.parent, Self.other] {
        try await Self.post(world, ["traceparent": trace], ["key": "once"])
      }
      #expect(try await world.messages().count == 1)
    }
  }

  @Test func itIsCarriedByHeaderAndByMeta() throws {
    try RemoteWorld.use { world async throws in
      try await Self.post(world, ["traceparent": Self.parent, "tracestate": "rojo=1"])
      #expect(try await Self.last(world) == ["traceparent": .string(Self.parent), "tracestate": "rojo=1"])
      // The message's own word is nearer than its carrier's; its sender's attribute is nearer still.
      try await Self.post(world, ["traceparent": Self.parent], meta: ["traceparent": .string(Self.other)])
      #expect(try await Self.last(world) == ["traceparent": .string(Self.other)])
      try await Self.post(
        world, ["traceparent": Self.parent], ["attributes": ["traceparent": .string(Self.other), "a": "b"]])
      #expect(try await Self.last(world) == ["traceparent": .string(Self.other), "a": "b"])
      // What is malformed is as if it were not there.
      try await Self.post(world, ["traceparent": "00-nonsense"], meta: ["traceparent": 7])
      #expect(try await Self.last(world) == nil)
      let script = try await world.request(
        "POST", "/v1/messages", ["traceparent": Self.parent], #"{"topic":"general","content":"x"}"#)
      #expect(script.status == 200, "\(script.text)")
      #expect(try await Self.last(world)?["traceparent"] == .string(Self.parent))
      let injected = try await world.request(
        "POST", "/v1/inject?topic=general", ["traceparent": Self.other], "an event")
      #expect(injected.status == 200, "\(injected.text)")
      #expect(try await Self.last(world)?["traceparent"] == .string(Self.other))
    }
  }
}
