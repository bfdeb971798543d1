import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// Sessions without a configuration that the variables of other systems lead to another Parley's door.
@Suite struct OtherServerTests {
  private static func door(_ place: CompatPlace, _ port: FreePort, selfService: Bool = true) async throws
    -> ChildProcess
  {
    let extra = """
      keys: { self_service: \(selfService) }
      http: { listen: "127.0.0.1:\(port.number)"\(selfService ? "" : ", token: 0123456789abcdef0123456789abcdef") }
      auth: { store: "\(place.folder.path("auth.store"))" }
      """
    try place.write("door.yaml", place.configuration("door", "backchannel, duo", extra: extra))
    let door = try place.place.start(["serve", "--http", "--config", place.folder.path("door.yaml")])
    door.closeInput()
    let isOpen = await door.wait(until: place.soon) { door in
      door.exit != nil || door.errorLines.contains { $0.contains("door open") }
    }
    try #require(isOpen && door.exit == nil, "\(door.errorLines)")
    return door
  }

  /// A session in an empty folder.
  private static func session(
    _ place: CompatPlace, _ set: String, _ environment: [String: String]
  ) async throws -> CompatCaller {
    let folder = place.folder.path("empty-\(place.loop.random())")
    try SystemError.check("mkdir", mkdir(folder, 0o700))
    let process = try place.place.start(
      ["serve", "--compat", set], environment: environment, directory: folder)
    let client = Client(process, place.place)
    try await client.initialize()
    return CompatCaller(client, place)
  }

  private static func mode(_ path: String) -> mode_t? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? status.st_mode & 0o777 : nil
  }

  @Test func aKeyIsGottenOnceAndKept() throws {
    try CompatPlace.use { place in
      let port = try FreePort()
      let door = try await Self.door(place, port)
      let base = ["BACKCHANNEL_BASE_URL": "http://127.0.0.1:\(port.number)"]
      func environment(_ label: String, _ home: String, _ more: [String: String] = [:]) -> [String: String] {
        base.merging(["BACKCHANNEL_AGENT_LABEL": label, "HOME": place.folder.path(home)]) { $1 }.merging(more) { $1 }
      }
      let ada = try await Self.session(place, "backchannel", environment("ada", "home-a"))
      let bob = try await Self.session(place, "backchannel", environment("bob", "home-b"))
      let file = place.folder.path("home-a/.config/backchannel/key")
      // A session that calls nothing asks for nothing.
      _ = await ada.tools()
      await place.loop.sleep(for: .milliseconds(500))
      #expect(Self.mode(file) == nil)
      let posted = await ada.call("post_task", ["channel": "builds", "content": "build the docs"])
      #expect(!posted.isError, "\(posted.text)")
      #expect(Self.mode(file) == 0o600)
      let key = TextFile.read(file)?.split(separator: "\n").first.map(String.init)
      let claimed = await bob.call("claim_task", ["channel": "builds", "actor": "worker"])
      #expect(claimed.json["message"]?["id"] == posted.json["message_id"], "\(claimed.text)")
      #expect(claimed.json["message"]?["actor"]?["id"]?.string == "ada")
      #expect(await ada.call("request_access", ["channel": "builds"]).json == ["status": "open"])
      #expect(await ada.call("request_access", ["channel": "none"]).code == "channel_not_found")
      // It lasts, whatever the label is by then; two of one label are refused.
      let again = try await Self.session(place, "backchannel", environment("ada-2", "home-a"))
      #expect(!(await again.call("list_channels")).isError)
      #expect(TextFile.read(file)?.hasPrefix(key ?? "none") == true)
      let issued = await ada.call("issue_key", ["agent_label": "carol"])
      #expect(issued.json["agent_label"] == "carol" && issued.json["expires_at"]?.isNull == true, "\(issued.text)")
      for label in ["carol", "door"] {
        #expect(await bob.call("issue_key", ["agent_label": .string(label)]).code == "label_in_use", "\(label)")
      }
      // Five in an hour for one address, given or refused.
      #expect(await bob.call("issue_key", ["agent_label": "dora"]).code == "rate_limit_exceeded")
      // The variable wins over the file.
      let carol = try await Self.session(
        place, "backchannel",
        environment("carol", "home-c", ["BACKCHANNEL_API_KEY": issued.json["key"]?.string ?? "none"]))
      let by = await carol.call("broadcast", ["channel": "news", "content": "hello"])
      #expect(by.json["message"]?["actor"]?["id"]?.string == "carol", "\(by.text)")
      #expect(Self.mode(place.folder.path("home-c/.config/backchannel/key")) == nil)
      // A key that others can read is none.
      try SystemError.check("chmod", chmod(file, 0o644))
      let open = try await Self.session(place, "backchannel", environment("ada", "home-a"))
      let status = await open.call("parley_status") { $0.text.contains("key file") }
      #expect(status.text.contains("key file"), "\(status.text)")
      let tokens = try await place.place.run("token", "list", "--config", place.folder.path("door.yaml"))
      #expect(tokens.output.count(where: { $0.contains("self-service") }) == 3, "\(tokens.output)")
      _ = door
    }
  }

  @Test func keysArePermittedOrNot() throws {
    try CompatPlace.use { place in
      let port = try FreePort()
      let door = try await Self.door(place, port, selfService: false)
      let asked = try ChildProcess(
        loop: place.loop, path: "/usr/bin/curl",
        arguments: [
          "-s", "-o", "/dev/null", "-w", "%{http_code}\n", "-H", "Content-Type: application/json", "-d",
          #"{"agent_label":"eve"}"#, "http://127.0.0.1:\(port.number)/v1/keys",
        ], environment: place.place.environment, directory: place.folder.path)
      asked.closeInput()
      _ = await asked.waitForExit(until: place.soon)
      #expect(asked.outputLines != ["201"] && asked.outputLines.count == 1, "\(asked.outputLines)")
      let local = try await place.client("ada", "backchannel")
      #expect(await local.call("issue_key", ["agent_label": "eve"]).code == "minting_closed")
      _ = door
    }
  }

  @Test func partnersMeetBehindADoor() throws {
    try CompatPlace.use { place in
      let port = try FreePort()
      let door = try await Self.door(place, port)
      var keys: [String] = []
      for handle in ["one", "two"] {
        let made = try await place.place.run(
          "token", "create", "--scope", "parley:relay", "--handle", handle, "--config", place.folder.path("door.yaml"))
        keys.append(try #require(made.output.first))
      }
      func partner(_ id: String, _ key: String) async throws -> CompatCaller {
        try await Self.session(
          place, "duo",
          ["BROKER_URL": "http://127.0.0.1:\(port.number)", "PARTNER_ID": id, "PARTNER_KEY": key, "PARTNER_NAME": id])
      }
      let (ada, bob) = (try await partner("ada", keys[0]), try await partner("bob", keys[1]))
      #expect(!(await ada.call("list_partners")).isError)
      let sent = await bob.call("talk", ["message": "hello", "to": "ada"]) { !$0.isError }
      #expect(sent.text.contains("Message sent in ~dm."), "\(sent.text)")
      #expect(await ada.call("listen").text.hasSuffix("bob: hello"))
      _ = door
    }
  }
}
