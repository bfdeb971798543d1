import ParleyRuntime
import ParleyTestKit
import Testing

/// What a user who points `parley doctor` at an XMPP server sees.
@Suite struct XMPPProcessTests {
  private static let patience = Duration.seconds(60)

  @Test func twoAgentsAndAPersonMeet() throws {
    try Workplace.use { place in
      let server = try await ProsodyServer.start()
      defer { server.process.kill() }
      let url = "xmpp://127.0.0.1:\(server.port)/\(ProsodyServer.rooms)"
      func run(_ passwords: (agents: String, person: String)) async throws -> Workplace.Run {
        try await place.run(
          "demo", "--backend", "xmpp", "--url", url, "--agents", "parley@chat.test", "--person", "alice@chat.test",
          "--ca-file", server.authority,
          environment: ["PARLEY_DEMO_PASSWORD": passwords.agents, "PARLEY_DEMO_PERSON_PASSWORD": passwords.person],
          patience: Self.patience)
      }
      let told = try await run(("pw-parley", "pw-alice"))
      let text = told.output.joined(separator: "\n")
      #expect(told.status == 0, "\(told.errors) \(text)")
      let expected = [
        "alice@chat.test: logged in", "pushed to builder's process", "alice@chat.test enters the room",
        "| planner: @builder please build the docs; the outline is attached",
        "| builder: @planner built: 3 pages, no warnings", "alice> @planner @builder looks good to me. Please tag it.",
        "planner> @alice tagged as v1.0", "| planner: @alice tagged as v1.0",
      ]
      for line in expected { #expect(text.contains(line), "\(line) is not in\n\(text)") }
      let wrong = [try await run(("guessed", "pw-alice")), try await run(("pw-parley", "guessed"))]
      #expect(wrong.map(\.status) == [6, 6], "\(wrong)")
      #expect(wrong.allSatisfy { !$0.errors.joined().contains("guessed") }, "\(wrong)")
    }
  }

  @Test func theDoctorLooksAtServerAndRooms() throws {
    try Workplace.use { place in
      let server = try await ProsodyServer.start()
      defer { server.process.kill() }
      func configure(_ account: String, _ more: String = "") throws {
        try place.write(
          "parley.config.yaml",
          """
          backend: xmpp
          identity: { handle: ada }
          topics: [builds, closed]
          post_topics: [builds, closed]
          backend_config:
            service: xmpp://127.0.0.1:\(server.port)
            domain: \(ProsodyServer.domain)
            muc_service: \(ProsodyServer.rooms)
            username: \(account)
            password: pw-\(account)
            tls_ca_file: \(server.authority)
            \(more)

          """)
      }
      func examine() async throws -> (status: Int32, findings: [JSONValue]) {
        let run = try await place.run("doctor", "--json", "--patience", "30", patience: Self.patience)
        return (run.status, run.output.compactMap { try? JSONValue(parsing: $0) })
      }
      func has(_ findings: [JSONValue], _ subject: String, _ level: String, _ words: String) -> Bool {
        findings.contains {
          $0["subject"]?.string == subject && $0["level"]?.string == level
            && $0["what"]?.string?.contains(words) == true
        }
      }
      try configure("parley", "room_members_only: true")
      let posted = try await place.run("post", "closed", "for members", patience: Self.patience)
      #expect(posted.status == 0, "\(posted.errors)")
      let (good, own) = try await examine()
      #expect(good == 0, "\(own)")
      #expect(has(own, "server", "ok", "Prosody 0.12") && has(own, "login", "ok", "SCRAM-SHA-256"), "\(own)")
      #expect(has(own, "clock", "ok", "to the second") && has(own, "resumption", "ok", "XEP-0198"), "\(own)")
      #expect(has(own, "room", "note", "builds (builds@rooms.chat.test): there is none yet"), "\(own)")
      #expect(has(own, "room", "ok", "closed (closed@rooms.chat.test): we are owner, and moderator"), "\(own)")
      #expect(has(own, "room", "ok", "for members only") && has(own, "archive", "note", "how long they keep"), "\(own)")

      try configure("bob")
      let (bad, others) = try await examine()
      #expect(bad == 1 && has(others, "room", "error", "closed (closed@rooms.chat.test)"), "\(others)")
      for finding in others where ["error", "warning"].contains(finding["level"]?.string) {
        #expect(finding["fix"]?.string?.isEmpty == false, "\(finding.text)")
      }
    }
  }
}
