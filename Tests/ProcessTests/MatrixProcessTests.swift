import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// What a user who points `parley demo` and `parley doctor` at a homeserver sees.
@Suite struct MatrixProcessTests {
  private static let patience = Duration.seconds(120)

  @Test func twoAgentsAndAPersonMeetAndTheDoctorLooks() throws {
    try Workplace.use { place in
      let server = try await SynapseServer.start()
      defer { server.process.kill() }
      try await server.register("parley", password: "of the agents")
      try await server.register("alice", password: "of alice")
      try await Self.demo(place, server)
      try await Self.doctor(place, server)
    }
  }

  private static func demo(_ place: Workplace, _ server: SynapseServer) async throws {
    let url = "http://127.0.0.1:\(server.port)"
    let passwords = ["PARLEY_DEMO_PASSWORD": "of the agents", "PARLEY_DEMO_PERSON_PASSWORD": "of alice"]
    func run(_ person: String, _ environment: [String: String]) async throws -> Workplace.Run {
      try await place.run(
        "demo", "--backend", "matrix", "--url", url, "--agents", "parley", "--person", person,
        environment: environment, patience: patience)
    }
    // Before anyone has logged in: a login that is kept needs no password.
    let wrong = [
      try await run("alice", ["PARLEY_DEMO_PASSWORD": "of the agents", "PARLEY_DEMO_PERSON_PASSWORD": "guessed"]),
      try await run("alice", ["PARLEY_DEMO_PASSWORD": "guessed", "PARLEY_DEMO_PERSON_PASSWORD": "of alice"]),
      try await run("alice", ["PARLEY_DEMO_PASSWORD": "guessed"]),
      try await place.run("demo", "--backend", "matrix", "--agents", "parley", environment: passwords),
      try await place.run("demo", "--backend", "redis", "--person", "alice", environment: passwords),
    ]
    #expect(wrong.map(\.status) == [6, 6, 2, 2, 2], "\(wrong.map(\.errors))")
    #expect(wrong.allSatisfy { !$0.errors.joined().contains("guessed") && !$0.errors.isEmpty })

    let told = try await run("alice", passwords)
    #expect(told.status == 0, "\(told.errors)")
    let text = told.output.joined(separator: "\n")
    let expected = [
      "@alice:chat.test: logged in", "pushed to builder's process", "pushed to planner's process",
      "@alice:chat.test enters the room",
      "| @parley:chat.test: [planner] @builder please build the docs; the outline is attached",
      "| @parley:chat.test: [builder] @planner built: 3 pages, no warnings", "@alice:chat.test  replies",
      "alice> @planner @builder looks good to me. Please tag it.", "planner> @alice tagged as v1.0",
      "| @parley:chat.test: [planner] @alice tagged as v1.0",
    ]
    for line in expected { #expect(text.contains(line), "\(line) is not in\n\(text)") }
  }

  private static func doctor(_ place: Workplace, _ server: SynapseServer) async throws {
    try place.write(
      "parley.config.yaml",
      """
      backend: matrix
      identity: { handle: ada }
      topics: [general, elsewhere]
      backend_config:
        homeserver_url: http://127.0.0.1:\(server.port)
        password: of the agents
        invite: ["@alice:chat.test"]
        rooms: { elsewhere: "#nowhere:chat.test" }

      """)
    let run = try await place.run("doctor", "--json", "--patience", "60", patience: patience)
    let findings = run.output.compactMap { try? JSONValue(parsing: $0) }
    func found(_ subject: String, _ level: String, _ words: String) -> Bool {
      findings.contains {
        $0["subject"]?.string == subject && $0["level"]?.string == level && $0["what"]?.string?.contains(words) == true
      }
    }
    #expect(run.status == 1, "\(run.output)")
    #expect(found("homeserver", "ok", "@parley:chat.test"), "\(run.output)")
    #expect(found("homeserver", "ok", "Synapse 1."))
    #expect(found("specification", "ok", "everything"))
    #expect(found("room", "note", "general (#parley_general:chat.test): no such room yet"))
    #expect(found("room", "error", "elsewhere (#nowhere:chat.test)"))
    for finding in findings where ["error", "warning"].contains(finding["level"]?.string) {
      #expect(finding["fix"]?.string?.isEmpty == false, "\(finding.text)")
    }
  }
}
