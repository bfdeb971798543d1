import ParleyRuntime
import ParleyTestKit
import Testing

/// Waiting for tasks by handle: the extension `io.modelcontextprotocol/tasks` of revision 2026-07-28.
@Suite struct TaskHandleTests {
  private static let name = "io.modelcontextprotocol/tasks"

  private static func request(
    _ id: Int, _ method: String, _ params: JSONObject, extensions: JSONValue = [TaskHandleTests.name: [:]]
  ) -> String {
    var params = params
    params["_meta"] = [
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": ["extensions": extensions],
    ]
    let request: JSONValue = [
      "jsonrpc": "2.0", "id": .int(Int64(id)), "method": .string(method), "params": .object(params),
    ]
    return request.text
  }

  @Test func aHandleOutlivesTheProcessThatGaveIt() throws {
    try Workplace.use { place in
      let store = try await TaskStore.start(.sqlite)
      try store.write("ada", in: place)
      try store.write("bob", in: place)
      var ids: [JSONValue] = []
      for title in ["one", "two"] {
        let posted = try await place.run("task", "post", "--config", "ada.yaml", "general", title)
        ids.append(.string(try #require(posted.output.first)))
      }
      let ada = try Client(place, config: "ada.yaml")
      func ask(_ client: Client, _ id: Int, _ method: String, _ params: JSONObject) async -> JSONValue? {
        client.send(Self.request(id, method, params))
        return await client.answer(id)
      }
      let discovered = await ask(ada, 1, "server/discover", [:])
      #expect(discovered?["result"]?["capabilities"]?["extensions"]?[Self.name] == [:])
      // Whoever does not know handles gets an answer, as ever.
      let wait: JSONObject = ["name": "parley_wait", "arguments": ["tasks": .array(ids)]]
      let timed: JSONObject = ["name": "parley_wait", "arguments": ["tasks": .array(ids), "timeout_ms": 0]]
      ada.send(Self.request(2, "tools/call", timed, extensions: [:]))
      let plain = await ada.answer(2)?["result"]
      #expect(plain?["resultType"]?.string == "complete")
      #expect(plain?["structuredContent"]?["timedOut"]?.bool == true)
      #expect(await ask(ada, 3, "tools/call", timed)?["result"]?["resultType"]?.string == "complete")

      let created = await ask(ada, 4, "tools/call", wait)?["result"]
      #expect(created?["resultType"]?.string == "task" && created?["status"]?.string == "working")
      #expect(created?["statusMessage"]?.string == "0 of 2 over" && created?["content"] == nil)
      let handle = try #require(created?["taskId"]?.string)
      for (index, id) in ids.enumerated() {
        let task = try #require(id.string)
        let claimed = try await place.run("task", "claim", "--config", "bob.yaml", "--json", "--task", task)
        let fence = try #require(claimed.json?["fence"]?.string)
        let done = try await place.run(
          "task", "done", "--config", "bob.yaml", task, "--fence", fence, "result \(index)")
        #expect(done.status == 0, "\(done.errors)")
        guard index == 0 else { continue }
        let half = await ask(ada, 5, "tasks/get", ["taskId": .string(handle)])?["result"]
        #expect(half?["resultType"]?.string == "complete" && half?["status"]?.string == "working")
        #expect(half?["statusMessage"]?.string == "1 of 2 over" && half?["result"] == nil)
      }
      // Another process of the handle, which never saw the call.
      ada.process.kill(9)
      let later = try Client(place, config: "ada.yaml")
      let over = await ask(later, 6, "tasks/get", ["taskId": .string(handle)])?["result"]
      #expect(over?["status"]?.string == "completed" && over?["taskId"]?.string == handle)
      let tasks = over?["result"]?["structuredContent"]?["tasks"]?.array
      #expect(tasks?.map { $0["result"]?.string } == ["result 0", "result 1"])
      #expect(over?["result"]?["content"]?[0]?["type"]?.string == "text")
      // What is over is answered at once.
      #expect(await ask(later, 7, "tools/call", wait)?["result"]?["resultType"]?.string == "complete")
      for method in ["tasks/update", "tasks/cancel"] {
        let answer = await ask(later, 8, method, ["taskId": .string(handle)])
        #expect(answer?["result"]?["resultType"]?.string == "complete" && answer?["result"]?["status"] == nil)
      }
      for wrong in ["", "wait", "wait-0-xyz", "wait-0-ffffffffffffffff", "wait--\(ids[0].string ?? "")", handle + "-"] {
        let answer = await ask(later, 9, "tasks/get", ["taskId": .string(wrong)])
        #expect(answer?["error"]?["code"]?.int == -32602, "\(wrong): \(String(describing: answer))")
      }
      later.send(Self.request(10, "tasks/get", ["taskId": .string(handle)], extensions: [:]))
      let undeclared = await later.answer(10)
      #expect(undeclared?["error"]?["code"]?.int == -32021)
      let required = undeclared?["error"]?["data"]?["requiredCapabilities"]?["extensions"]?[Self.name]
      #expect(required == [:])
      later.send(
        Self.request(11, "subscriptions/listen", ["notifications": ["taskIds": [.string(handle)]]], extensions: [:]))
      #expect(await later.answer(11)?["error"]?["code"]?.int == -32021)
    }
  }

  /// Who listens is told what `tasks/get` would say, at first and with every change, and nothing after the end.
  @Test func aListenerIsToldOfEveryChange() throws {
    try Workplace.use { place in
      let store = try await TaskStore.start(.sqlite)
      for handle in ["ada", "bob"] { try store.write(handle, in: place) }
      var ids: [JSONValue] = []
      for title in ["one", "two"] {
        let posted = try await place.run("task", "post", "--config", "ada.yaml", "general", title)
        ids.append(.string(try #require(posted.output.first)))
      }
      let ada = try Client(place, config: "ada.yaml")
      let wait: JSONObject = ["name": "parley_wait", "arguments": ["tasks": .array(ids)]]
      ada.send(Self.request(1, "tools/call", wait))
      let handle = try #require(await ada.answer(1)?["result"]?["taskId"])
      let unknown = "wait-0-0123456789abcdef"
      let wishes: JSONObject = ["notifications": ["taskIds": [handle, .string(unknown), "nonsense", handle]]]
      ada.send(Self.request(2, "subscriptions/listen", wishes))
      func next() async -> JSONValue? {
        let message = await ada.next()
        #expect(message?["params"]?["_meta"]?["io.modelcontextprotocol/subscriptionId"] == 2)
        return message
      }
      let acknowledged = await next()
      #expect(acknowledged?["method"] == "notifications/subscriptions/acknowledged")
      #expect(acknowledged?["params"]?["notifications"] == ["taskIds": [handle]])
      func told(_ status: JSONValue, _ text: JSONValue) async -> JSONValue? {
        let message = await next()
        #expect(message?["method"] == "notifications/tasks" && message?["params"]?["taskId"] == handle)
        #expect(message?["params"]?["status"] == status && message?["params"]?["statusMessage"] == text)
        return message?["params"]
      }
      var last = await told("working", "0 of 2 over")
      for (index, id) in ids.enumerated() {
        let task = try #require(id.string)
        let claimed = try await place.run("task", "claim", "--config", "bob.yaml", "--json", "--task", task)
        let fence = try #require(claimed.json?["fence"]?.string)
        let claim = await told("working", .string("\(index) of 2 over"))
        #expect(claim?["lastUpdatedAt"] != last?["lastUpdatedAt"])
        _ = try await place.run("task", "done", "--config", "bob.yaml", task, "--fence", fence, "result \(index)")
        last = await told(index == 0 ? "working" : "completed", .string("\(index + 1) of 2 over"))
      }
      let tasks = last?["result"]?["structuredContent"]?["tasks"]?.array
      #expect(tasks?.map { $0["result"]?.string } == ["result 0", "result 1"])
      ada.send(Self.request(3, "tasks/get", ["taskId": handle]))
      let asked = await ada.answer(3)?["result"]?.object
      #expect(asked?["result"] == last?["result"] && asked?["lastUpdatedAt"] == last?["lastUpdatedAt"])
      let many = (0...100).map { JSONValue.string("wait-\(String($0, radix: 16))-0123456789abcdef") }
      ada.send(Self.request(4, "subscriptions/listen", ["notifications": ["taskIds": .array(many)]]))
      #expect(await ada.answer(4)?["error"]?["code"]?.int == -32602)
      // Nothing more was told: the end of the session is what comes next.
      ada.process.closeInput()
      let end = await ada.next()
      #expect(end?["method"] == "notifications/cancelled" && end?["params"]?["requestId"] == 2)
    }
  }
}
