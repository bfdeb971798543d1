import ParleyMCP
import ParleyRuntime
import Testing

@Suite struct DefinitionTests {
  private static func setup(_ topics: [String], patterns: [String] = []) -> Hub.Setup {
    var setup = Hub.Setup(
      author: Author(handle: Handle("coder"), instance: "i"), topics: topics.map { Topic($0) })
    setup.postPatterns = patterns
    return setup
  }

  private static func definitions(_ setup: Hub.Setup) throws -> [String: JSONValue] {
    var all: [String: JSONValue] = [:]
    for tool in StandardTools.all + StandardTools.further.flatMap(\.tools) {
      let definition = try JSONValue(parsing: tool.definition(for: setup))
      #expect(definition["name"]?.string == tool.name)
      all[tool.name] = definition
    }
    return all
  }

  private static let realistic = setup(
    ["general", "build-and-release", "reviews", "incidents", "agents/coordination", "design"])

  /// Clients keep the list in the model's context.
  @Test(arguments: [
    realistic, setup(["general"]), setup(realistic.topics.map(\.name), patterns: ["ctx-.*", "task-[0-9a-f]+"]),
    setup((0..<500).map { "topic-number-\($0)" }, patterns: (0..<50).map { "pattern-\($0)-.*" }),
  ])
  func theWholeListIsShort(_ setup: Hub.Setup) {
    func size(_ tools: [any Tool]) -> Int {
      (#"{"tools":["# + tools.map { $0.definition(for: setup) }.joined(separator: ",") + "]}").utf8.count
    }
    let withoutCoordination = ["parley_fetch_recent", "parley_post", "parley_reply", "parley_wait", "parley_status"]
    let basic = size(StandardTools.all.filter { withoutCoordination.contains($0.name) })
    #expect(basic <= 7_100, "\(basic)")
    let all = size(StandardTools.all)
    #expect(all <= 12_000, "\(all)")
  }

  @Test func theListIsTheSameEveryTime() {
    let once = StandardTools.all.map { $0.definition(for: Self.realistic) }
    #expect(once == StandardTools.all.map { $0.definition(for: Self.realistic) })
    #expect(
      StandardTools.all.map(\.name) == [
        "parley_fetch_recent", "parley_post", "parley_reply", "parley_list_users", "parley_wait", "parley_status",
        "parley_task_post", "parley_task_claim", "parley_task_update", "parley_handoff",
      ])
  }

  @Test func everyDefinitionIsWhole() throws {
    for (name, definition) in try Self.definitions(Self.realistic) {
      #expect(
        definition.names == ["name", "title", "description", "inputSchema", "outputSchema", "annotations"], "\(name)")
      #expect((20...2_048).contains(definition["description"]?.string?.utf8.count ?? 0), "\(name)")
      #expect(definition["inputSchema"]?["type"]?.string == "object")
      #expect(definition["inputSchema"]?["additionalProperties"]?.bool == false)
      #expect(definition["outputSchema"]?["type"]?.string == "object")
      #expect(definition["annotations"]?["destructiveHint"]?.bool == false)
      let properties = Set(definition["inputSchema"]?["properties"]?.names ?? [])
      for required in definition["inputSchema"]?["required"]?.array ?? [] {
        #expect(properties.contains(required.string ?? "?"))
      }
    }
  }

  @Test func annotationsAreTrue() throws {
    let all = try Self.definitions(Self.realistic)
    func hints(_ name: String) -> [Bool?] {
      let hints = all[name]?["annotations"]
      return [hints?["readOnlyHint"]?.bool, hints?["idempotentHint"]?.bool, hints?["openWorldHint"]?.bool]
    }
    #expect(hints("parley_fetch_recent") == [false, true, true])
    #expect(hints("parley_post") == [false, false, true])
    #expect(hints("parley_reply") == [false, false, true])
    #expect(hints("parley_list_users") == [true, true, true])
    #expect(hints("parley_wait") == [true, false, true])
    #expect(hints("parley_status") == [true, false, false])
  }

  @Test func theTopicIsClosedWhereNoPatternWidensIt() throws {
    func topic(_ setup: Hub.Setup, _ tool: String) throws -> JSONValue? {
      try Self.definitions(setup)[tool]?["inputSchema"]?["properties"]?["topic"]
    }
    let closed = Self.setup(["a", "b\"c"])
    #expect(try topic(closed, "parley_post")?["enum"] == ["a", "b\"c"])
    #expect(try topic(closed, "parley_fetch_recent")?["enum"] == ["a", "b\"c"])
    #expect(try topic(closed, "parley_reply") == ["type": "string"])
    #expect(try topic(Self.setup(["a"], patterns: ["x.*"]), "parley_post") == ["type": "string"])
  }

  @Test func descriptionsNameTheTopics() throws {
    let all = try Self.definitions(Self.setup(["a", "b\"c"], patterns: ["ctx-.*"]))
    func ends(_ name: String, _ end: String) -> Bool { all[name]?["description"]?.string?.hasSuffix(end) == true }
    let also = #" Also allowed (post/fetch only): any topic fully matching regex "ctx-.*"."#
    #expect(ends("parley_fetch_recent", #" Configured topics: "a", "b\"c"."# + also))
    #expect(ends("parley_post", #" Configured topics: "a", "b\"c"."# + also))
    #expect(ends("parley_reply", #" Subscribed topics: "a", "b\"c"."#))
  }
}
