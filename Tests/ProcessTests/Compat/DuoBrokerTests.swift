import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// The Duo broker's endpoints, asked by curl as its hook and its partners ask them.
@Suite struct DuoBrokerTests {
  /// The hook's line, as that system's documentation has it.
  private static let hook =
    #"curl -X POST http://localhost:3210/unregister -H "Content-Type: application/json" -d "{\"partnerId\": \"$PARTNER_ID\"}""#

  /// A door with the broker beside it.
  private final class Broker {
    let place: CompatPlace
    let port: FreePort
    private var door: ChildProcess

    /// The port is told by the configuration, or by that system's variable.
    init(_ place: CompatPlace, byVariable: Bool = false) async throws {
      self.place = place
      let (http, broker) = (try FreePort(), try FreePort())
      port = broker
      let extra = """
        compat_options: { duo: { broker: true\(byVariable ? "" : ", port: \(broker.number)") } }
        http: { listen: "127.0.0.1:\(http.number)", token: 0123456789abcdef0123456789abcdef }
        """
      try place.write("broker.yaml", place.configuration("door", "duo", extra: extra))
      // What is sent to the usual port goes to this one, so that lines can be run as they stand.
      try place.write(".curlrc", "connect-to = \"localhost:3210:127.0.0.1:\(broker.number)\"\n")
      door = try await Self.open(place, port)
    }

    private static func open(_ place: CompatPlace, _ port: FreePort) async throws -> ChildProcess {
      let door = try place.place.start(
        ["serve", "--http", "--config", place.folder.path("broker.yaml")],
        environment: ["BROKER_PORT": String(port.number)])
      door.closeInput()
      let isOpen = await door.wait(until: place.soon) { door in
        door.exit != nil || door.errorLines.contains { $0.contains("door open") }
      }
      try #require(isOpen && door.exit == nil, "\(door.errorLines)")
      return door
    }

    /// Kills the door and opens it again.
    func restart() async throws {
      door.kill(SIGKILL)
      _ = await door.waitForExit(until: place.soon)
      door = try await Self.open(place, port)
    }

    func start(_ arguments: [String]) throws -> ChildProcess {
      let process = try ChildProcess(
        loop: place.loop, path: "/usr/bin/curl", arguments: ["-s", "-w", "\n%{http_code}\n"] + arguments,
        environment: place.place.environment, directory: place.folder.path)
      process.closeInput()
      return process
    }

    /// The status and the JSON of an answer.
    func answer(_ process: ChildProcess) async -> (status: Int, json: JSONValue) {
      _ = await process.waitForExit(until: place.soon)
      let status = process.outputLines.last.flatMap { Int($0) } ?? 0
      return (status, (try? JSONValue(parsing: process.outputLines.first ?? "")) ?? nil)
    }

    static func get(_ path: String) -> [String] { ["http://localhost:3210\(path)"] }

    static func post(_ path: String, _ body: JSONValue) -> [String] {
      get(path) + ["-H", "Content-Type: application/json", "-d", body.text]
    }

    func get(_ path: String) async throws -> (status: Int, json: JSONValue) { await answer(try start(Self.get(path))) }

    func post(_ path: String, _ body: JSONValue) async throws -> (status: Int, json: JSONValue) {
      await answer(try start(Self.post(path, body)))
    }

    func waitUntilListening(_ count: Int64) async throws {
      for _ in 0..<400 {
        if try await get("/health").json["listening"]?.int == count { return }
        await place.loop.sleep(for: .milliseconds(25))
      }
      Issue.record("nobody listens")
    }
  }

  @Test func partnersTalkThroughTheBroker() throws {
    try CompatPlace.use { place in
      let broker = try await Broker(place)
      let project = place.folder.path("project")
      try SystemError.check("mkdir", mkdir(project, 0o700))
      let ada = try await broker.post(
        "/register", ["partnerId": "ada", "name": "Ada", "projectPath": .string(project)])
      #expect(ada.status == 200 && ada.json["success"]?.bool == true)
      let record = ada.json["partner"]
      #expect(record?["id"] == "ada" && record?["name"] == "Ada" && record?["project_path"] == .string(project))
      #expect(record?["status"] == "online" && record?["status_message"]?.isNull == true)
      #expect(record?["notifications_enabled"] == 1 && record?["created_at"]?.string?.utf8.count == 19)
      #expect(try await broker.post("/register", ["partnerId": "bob"]).json["partner"]?["name"] == "bob")
      let sent = try await broker.post("/talk", ["fromId": "ada", "to": "bob", "content": "hello\nBob"]).json
      #expect(sent["success"]?.bool == true && sent["notified"] == 0 && sent["queued"] == 1)
      let direct = try #require(sent["conversationId"]?.string)
      let listed = try await broker.get("/conversations/bob").json["conversations"]?[0]
      #expect(listed?["id"] == .string(direct) && listed?["type"] == "direct" && listed?["unread_count"] == 1)
      #expect(listed?["participants"]?.array?.compactMap { $0["id"]?.string } == ["ada", "bob"])
      let heard = try await broker.get("/listen/bob?timeout=10").json
      #expect(heard["hasMessages"]?.bool == true)
      let message = heard["messages"]?[0]
      #expect(message?["from_id"] == "ada" && message?["content"] == "hello\nBob")
      #expect(message?["id"] == sent["messageId"] && message?["conversation_id"] == .string(direct))
      // Who listens hears at once; a later call takes over from an earlier one.
      let first = try broker.start(Broker.get("/listen/bob"))
      try await broker.waitUntilListening(1)
      let second = try broker.start(Broker.get("/listen/bob?conversationId=\(direct)"))
      #expect(await broker.answer(first).json == ["hasMessages": false, "messages": [], "reason": "reconnect"])
      #expect(
        try await broker.post("/talk", ["fromId": "ada", "conversationId": .string(direct), "content": "now"]).json[
          "notified"]
          == 1)
      #expect(await broker.answer(second).json["messages"]?[0]?["content"] == "now")
      let page = try await broker.get("/conversations/\(direct)/messages?limit=1").json
      #expect(page["messages"]?.array?.compactMap { $0["content"]?.string } == ["now"])
      #expect(page["conversation"]?["type"] == "direct")
      // What is unread outlives the broker's death, and so do its partners.
      _ = try await broker.post("/talk", ["fromId": "bob", "to": "ada", "content": "for later"])
      try await broker.restart()
      #expect(try await broker.get("/listen/ada").json["messages"]?[0]?["content"] == "for later")
      // The hook's line signs off, and ends a call that listens.
      let waiting = try broker.start(Broker.get("/listen/bob"))
      try await broker.waitUntilListening(1)
      let shell = try ChildProcess(
        loop: place.loop, path: "/bin/sh", arguments: ["-c", Self.hook + "; echo"],
        environment: place.place.environment.merging(["PARTNER_ID": "bob"]) { $1 }, directory: place.folder.path)
      shell.closeInput()
      #expect(await shell.waitForExit(until: place.soon) == .status(0))
      #expect(shell.outputLines == [#"{"success":true}"#])
      #expect(await broker.answer(waiting).json == ["hasMessages": false, "messages": [], "reason": "unregistered"])
      let partners = try await broker.get("/partners").json["partners"]?.array ?? []
      #expect(
        Set(
          partners.map { "\($0["id"]?.string ?? "") \($0["status"]?.string ?? "") \($0["isListening"]?.bool == true)" })
          == ["ada online false", "bob offline false"])
      #expect(TextFile.read(project + "/CLAUDE.md") == nil && rmdir(project) == 0)
    }
  }

  @Test func groupsSettingsAndSessions() throws {
    try CompatPlace.use { place in
      let broker = try await Broker(place, byVariable: true)
      for id in ["ada", "bob", "carol"] { _ = try await broker.post("/register", ["partnerId": .string(id)]) }
      let made = try await broker.post(
        "/conversations", ["creatorId": "ada", "name": "team", "participants": ["bob", "bob", "carol"]])
      #expect(made.json["conversation"]?["type"] == "group" && made.json["conversation"]?["name"] == "team")
      let team = try #require(made.json["conversation"]?["id"]?.string)
      let sent = try await broker.post("/talk", ["fromId": "bob", "conversationId": .string(team), "content": "all"])
      #expect(sent.json["queued"] == 2)
      #expect(
        try await broker.get("/conversations/\(team)/participants").json["participants"]?.array?.count == 3)
      for (id, isLast) in [("ada", false), ("bob", false), ("carol", true)] {
        let left = try await broker.post("/conversations/\(team)/leave", ["partnerId": .string(id)])
        #expect(left.json == ["success": true, "left": true, "archived": .bool(isLast)])
      }
      _ = try await broker.post("/partners/ada/status", ["message": "reviewing"])
      _ = try await broker.post("/partners/ada/notifications", ["enabled": false])
      // Sessions of the tool set are partners of the same kind.
      let stdio = try await place.client("dora", "duo", environment: ["PARTNER_ID": "dora"])
      #expect(await stdio.call("list_partners").text.contains("🟢 **ada** (ID: ada) — reviewing"))
      let waiting = try broker.start(Broker.get("/listen/ada"))
      try await broker.waitUntilListening(1)
      let talk = await stdio.call("talk", ["message": "from a session", "to": "ada"]) { !$0.isError }
      #expect(talk.text.hasSuffix("1 notified in real time"))
      #expect(await broker.answer(waiting).json["messages"]?[0]?["from_id"] == "dora")
      #expect(try await broker.post("/talk", ["fromId": "ada", "to": "dora", "content": "back"]).status == 200)
      #expect(await stdio.call("listen").text.hasSuffix("ada: back"))
      let ada = try await broker.get("/partners").json["partners"]?.array?.first { $0["id"] == "ada" }
      #expect(ada?["status_message"] == "reviewing" && ada?["notifications_enabled"] == 0)
    }
  }

  @Test func whatIsWrongIsRefused() throws {
    try CompatPlace.use { place in
      let broker = try await Broker(place)
      for id in ["ada", "bob"] { _ = try await broker.post("/register", ["partnerId": .string(id)]) }
      let stdio = try await place.client("dora", "duo", environment: ["PARTNER_ID": "dora"])
      #expect(!(await stdio.call("list_partners")).isError)
      for (path, body, status) in [
        ("/register", [:], 400), ("/register", ["partnerId": " "], 400), ("/register", ["partnerId": "owner"], 403),
        // The door's own handle, and a partner that is another session's, are nobody's here.
        ("/register", ["partnerId": "door"], 403), ("/register", ["partnerId": "dora"], 409),
        ("/unregister", [:], 400), ("/talk", ["fromId": "ada", "content": "x"], 400),
        ("/talk", ["fromId": "ada", "to": "bob"], 400), ("/talk", ["fromId": "ada", "to": "bob", "content": " "], 400),
        ("/talk", ["fromId": "nobody", "to": "bob", "content": "x"], 404),
        ("/talk", ["fromId": "ada", "to": "nobody", "content": "x"], 404),
        ("/talk", ["fromId": "ada", "conversationId": "general", "content": "x"], 404),
        ("/conversations", ["creatorId": "ada", "name": "g", "participants": []], 422),
        ("/nowhere", [:], 404),
      ] as [(String, JSONValue, Int)] {
        let answer = try await broker.post(path, body)
        #expect(answer.status == status && answer.json["error"]?.string != nil, "\(path) \(body.text): \(answer)")
      }
      for (arguments, status) in [
        (Broker.get("/conversations/nobody"), 404), (Broker.get("/listen/nobody"), 404),
        (Broker.get("/listen/ada?conversationId=general"), 404), (Broker.get("/conversations/general/messages"), 404),
        (Broker.get("/mcp"), 404), (Broker.get("/partners") + ["-X", "DELETE"], 405),
        (Broker.get("/register") + ["-H", "Content-Type: text/plain", "-d", #"{"partnerId":"eve"}"#], 415),
        (Broker.post("/register", ["partnerId": "eve"]) + ["-H", "Origin: https://evil.example"], 403),
        (Broker.post("/register", ["partnerId": "eve"]) + ["-H", "Host: evil.example"], 403),
        (Broker.post("/register", ["partnerId": "eve"]) + ["-H", "X-Forwarded-For: 203.0.113.9"], 403),
        (Broker.get("/register") + ["-H", "Content-Type: application/json", "-d", "[1]"], 400),
      ] {
        let answer = await broker.answer(try broker.start(arguments))
        #expect(answer.status == status && answer.json["error"]?.string != nil, "\(arguments): \(answer)")
      }
      #expect(try await broker.get("/partners").json["partners"]?.array?.count == 3)
    }
  }
}
