import Glibc
import ParleyConformance
import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// Logins, tokens, rights, rooms that cannot be used, and limits of the server.
@Suite(.serialized) struct AccountTests {
  private static let shared = TestHomeserver.Shared()

  private func run(_ body: @escaping @Sendable (MatrixWorld) async throws -> Void) async throws {
    try await MatrixWorld.run(try await Self.shared.value(), body)
  }

  @Test func wrongCredentialsAreUnauthorized() async throws {
    try await run { world in
      var options = world.options
      options.login = .password(user: TestHomeserver.user, password: "wrong")
      await expectError(.unauthorized) { _ = try await world.backend(options) }
      options.login = .token(access: "syt_nonsense", refresh: nil)
      await expectError(.unauthorized) { _ = try await world.backend(options) }
      options.login = .token(access: "syt_nonsense", refresh: "syr_nonsense")
      await expectError(.unauthorized) { _ = try await world.backend(options) }
    }
  }

  @Test func aServerThatIsNotThereIsUnavailable() async throws {
    let certificates = try await TestCertificates.make()
    try await run { world in
      let port = try FreePort()
      for url in [
        "http://127.0.0.1:\(port.number)", "http://name.invalid", "https://127.0.0.1:\(world.homeserver.server.port)",
      ] {
        var options = world.options
        options.homeserver = url
        options.certificateAuthorities = certificates.authority
        await expectError(.unavailable) { _ = try await world.backend(options) }
      }
    }
  }

  @Test func certificatesOfOnesOwnAuthorityAreAccepted() async throws {
    let certificates = try await TestCertificates.make()
    var serverOptions = SynapseServer.Options()
    serverOptions.tls = certificates
    try await MatrixWorld.run(try await TestHomeserver.start(serverOptions)) { world in
      var options = world.options
      options.homeserver = "https://127.0.0.1:\(world.homeserver.server.tlsPort ?? 0)"
      options.certificateAuthorities = certificates.wrongAuthority
      let failure = await expectError(.unavailable) { _ = try await world.backend(options) }
      #expect(failure?.cause.contains("certificate") == true, "\(String(describing: failure))")
      options.certificateAuthorities = certificates.authority
      let backend = try await world.backend(options)
      _ = try await backend.post(world.draft("over TLS"), deadline: world.deadline)
      #expect(try await world.fetch(from: backend).map(\.content) == ["over TLS"])
    }
  }

  @Test func oneDeviceIsKeptAndTheTokenFileIsPrivate() async throws {
    try await run { world in
      let folder = try TemporaryDirectory()
      var options = world.options
      options.tokenFile = folder.path("state/tokens.json")
      let first = try await world.backend(options)
      _ = try await first.post(world.draft("a"), deadline: world.deadline)
      let kept = try JSONValue(parsing: try #require(TextFile.read(folder.path("state/tokens.json"))))
      var status = stat()
      #expect(stat(folder.path("state/tokens.json"), &status) == 0 && status.st_mode & 0o777 == 0o600)
      #expect(stat(folder.path("state"), &status) == 0 && status.st_mode & 0o777 == 0o700)
      // Another process finds the token; after it is revoked, the login is made anew for the same device.
      let second = try await world.backend(options)
      _ = try await second.post(world.draft("b"), deadline: world.deadline)
      #expect(try JSONValue(parsing: try #require(TextFile.read(folder.path("state/tokens.json")))) == kept)
      let token = try #require(kept["access_token"]?.string)
      _ = try await world.homeserver.server.request("POST", "/_matrix/client/v3/logout", token: token, body: [:])
      _ = try await first.post(world.draft("c"), deadline: world.deadline)
      _ = try await second.post(world.draft("d"), deadline: world.deadline)
      let renewed = try JSONValue(parsing: try #require(TextFile.read(folder.path("state/tokens.json"))))
      #expect(renewed["device_id"] == kept["device_id"] && renewed["access_token"] != kept["access_token"])
      #expect(try await world.fetch(from: second).map(\.content) == ["a", "b", "c", "d"])
    }
  }

  @Test func aRevokedTokenIsToldAndHealsWhenItIsReplaced() async throws {
    try await run { world in
      let folder = try TemporaryDirectory()
      let bot = try await world.bot()
      var options = world.options
      options.login = .token(access: bot.token, refresh: nil)
      options.tokenFile = folder.path("tokens.json")
      let supervisor = world.supervise(options)
      let recorder = DeliveryRecorder(loop: world.loop)
      let first = try await supervisor.post(world.draft("before"), deadline: world.deadline)
      _ = await supervisor.follow(world.topic, after: first.cursor, sink: recorder.sink)
      try await bot.request("POST", "logout", [:])
      let failure = await expectError(.unauthorized) {
        while true {
          _ = try await supervisor.post(world.draft("during"), deadline: world.loop.now.advanced(by: .seconds(2)))
        }
      }
      #expect(failure?.cause.contains("token") == true, "\(String(describing: failure))")
      // Whoever gives the account a new token writes it where tokens are kept; its origin names the configured one.
      let fresh = try await world.bot()
      let origin = SHA256.hexadecimal(
        "\(options.homeserver)\u{1f}token\u{1f}\(bot.token)\u{1f}", digits: 32)
      try TextFile.write(
        "{\"origin\":\"\(origin)\",\"user_id\":\"\(fresh.id)\",\"access_token\":\"\(fresh.token)\"}",
        to: folder.path("tokens.json"))
      _ = try await supervisor.post(world.draft("after"), deadline: world.deadline)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.last?.content == "after" })
    }
  }

  @Test func tokensAreRefreshedOnceForAll() async throws {
    var serverOptions = SynapseServer.Options()
    serverOptions.tokenLifetime = "2s"
    try await MatrixWorld.run(try await TestHomeserver.start(serverOptions)) { world in
      let folder = try TemporaryDirectory()
      var options = world.options
      options.tokenFile = folder.path("tokens.json")
      let backends = [
        try await world.backend(options), try await world.backend(options), try await world.backend(options),
      ]
      let before = try JSONValue(parsing: try #require(TextFile.read(folder.path("tokens.json"))))
      let until = world.loop.now.advanced(by: .seconds(7))
      var count = 0
      while world.loop.now < until {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for backend in backends {
            let draft = world.draft("\(count)")
            count += 1
            let deadline = world.deadline
            group.addTask { _ = try await backend.post(draft, deadline: deadline) }
          }
          try await group.waitForAll()
        }
        await world.loop.sleep(for: .milliseconds(300))
      }
      let after = try JSONValue(parsing: try #require(TextFile.read(folder.path("tokens.json"))))
      #expect(before["refresh_token"] != nil && after["refresh_token"] != before["refresh_token"])
      #expect(after["device_id"] == before["device_id"])
      #expect(try await world.fetch(from: backends[0]).count == count)
    }
  }

  @Test func rateLimitsAreWaitedOutInOrder() async throws {
    var serverOptions = SynapseServer.Options()
    serverOptions.hasRateLimits = true
    serverOptions.lines = ["rc_message: {per_second: 4, burst_count: 3}"]
    try await MatrixWorld.run(try await TestHomeserver.start(serverOptions)) { world in
      let backend = try await world.backend()
      let drafts = (0..<14).map { world.draft("\($0)") }
      let deadline = world.deadline
      let posting = drafts.map { draft in
        world.loop.spawn { () -> Result<Receipt, SeamError> in
          do throws(SeamError) { return .success(try await backend.post(draft, deadline: deadline)) } catch {
            return .failure(error)
          }
        }
      }
      for task in posting { _ = try await task.value.get() }
      #expect(try await world.fetch(from: backend).map(\.content) == drafts.map(\.content))
      // A deadline that the server's wait would pass is told at once, and nothing is sent.
      for number in 0..<6 {
        let draft = world.draft("hasty \(number)")
        do throws(SeamError) {
          _ = try await backend.post(draft, deadline: world.loop.now.advanced(by: .milliseconds(120)))
        } catch {
          #expect(error.code.name == "rateLimited" || error.code.name == "timedOut", "\(error)")
        }
      }
    }
  }

  @Test func anEncryptedRoomIsRefusedByEveryOperation() async throws {
    try await run { world in
      let person = try await world.person("frank")
      let made = try await person.request(
        "POST", "createRoom",
        [
          "room_alias_name": .string("parley_" + world.topic.name), "preset": "public_chat",
          "initial_state": [
            ["type": "m.room.encryption", "state_key": "", "content": ["algorithm": "m.megolm.v1.aes-sha2"]]
          ],
        ])
      #expect(made["room_id"]?.string != nil)
      let backend = try await world.backend()
      let failures = [
        await expectError(.unsupported) { _ = try await backend.post(world.draft("x"), deadline: world.deadline) },
        await expectError(.unsupported) { _ = try await world.fetch(from: backend) },
        await expectError(.unsupported) {
          _ = try await world.subscribe(after: Cursor("matrix.none.start"), on: backend)
        },
      ]
      #expect(failures.allSatisfy { $0?.cause.contains("encrypted") == true })
      #expect(await backend.traits.notes.contains { $0.contains("encrypted") })
    }
  }

  @Test func aRoomThatBecomesEncryptedIsTold() async throws {
    try await run { world in
      let backend = try await world.backend()
      let receipt = try await backend.post(world.draft("in clear"), deadline: world.deadline)
      let recorder = try await world.subscribe(after: receipt.cursor, on: backend)
      _ = try await backend.post(world.draft("also"), deadline: world.deadline)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 1 })
      let bot = try await world.bot()
      let room = try #require(await world.homeserver.room(of: world.topic))
      try await bot.request(
        "PUT", "rooms/\(Person.escape(room))/state/m.room.encryption/", ["algorithm": "m.megolm.v1.aes-sha2"])
      #expect(await recorder.wait(until: world.deadline) { $0.gaps.count == 1 })
      #expect(recorder.gaps.first?.reason.contains("encrypted") == true)
      await expectError(.unsupported) { _ = try await backend.post(world.draft("x"), deadline: world.deadline) }
    }
  }

  @Test func whoIsNotInvitedIsForbiddenUntilInvited() async throws {
    try await run { world in
      let person = try await world.person("grace")
      let made = try await person.request(
        "POST", "createRoom", ["room_alias_name": .string("parley_" + world.topic.name), "preset": "private_chat"])
      let room = try #require(made["room_id"]?.string)
      try await person.say("before you came", in: room)
      let backend = try await world.backend()
      let failure = await expectError(.forbidden) { _ = try await world.fetch(from: backend) }
      #expect(failure?.cause.contains("invite") == true)
      await expectError(.forbidden) { _ = try await backend.post(world.draft("x"), deadline: world.deadline) }
      try await person.request(
        "POST", "rooms/\(Person.escape(room))/invite", ["user_id": .string(TestHomeserver.account)])
      #expect(try await world.fetch(from: backend).map(\.content) == ["before you came"])
      _ = try await backend.post(world.draft("thanks"), deadline: world.deadline)
    }
  }

  @Test func anExplicitRoomIsUsedByIdOrAlias() async throws {
    try await run { world in
      let person = try await world.person("heidi")
      let name = "lounge-\(world.topic)"
      let made = try await person.request(
        "POST", "createRoom", ["room_alias_name": .string(name), "preset": "public_chat"])
      let room = try #require(made["room_id"]?.string)
      for place in ["#\(name):\(SynapseServer.name)", room] {
        var options = world.options
        options.rooms = [world.topic.name: place]
        let backend = try await world.backend(options)
        let receipt = try await backend.post(world.draft("by \(place)"), deadline: world.deadline)
        let event = try await person.event(receipt.id.text, in: room)
        #expect(event["room_id"]?.string == room)
      }
      var options = world.options
      options.rooms = [world.topic.name: "#nowhere-\(world.topic):\(SynapseServer.name)"]
      let backend = try await world.backend(options)
      await expectError(.noSuchTopic) { _ = try await backend.post(world.draft("x"), deadline: world.deadline) }
    }
  }

  @Test func roomsAreMadeAsConfigured() async throws {
    try await run { world in
      let person = try await world.person("ivan")
      var options = world.options
      options.invite = [person.id]
      let backend = try await world.backend(options)
      _ = try await backend.post(world.draft("for the invited"), deadline: world.deadline)
      let room = try #require(await world.homeserver.room(of: world.topic))
      let joined = try await person.request("POST", "join/\(Person.escape(room))", [:])
      #expect(joined["room_id"]?.string == room)
      options.visibility = .public
      let open = Topic(world.topic.name + "-open")
      let opening = try await world.backend(options)
      _ = try await opening.post(world.draft("for all", on: open), deadline: world.deadline)
      let stranger = try await world.person("judy")
      let publicRoom = try #require(await world.homeserver.room(of: open))
      #expect(try await stranger.request("POST", "join/\(Person.escape(publicRoom))", [:])["room_id"] != nil)
    }
  }

  @Test func beingPutOutIsToldAndComingBackHeals() async throws {
    try await run { world in
      let person = try await world.person("karl")
      let made = try await person.request(
        "POST", "createRoom", ["room_alias_name": .string("parley_" + world.topic.name), "preset": "private_chat"])
      let room = Person.escape(try #require(made["room_id"]?.string))
      let ours: JSONValue = ["user_id": .string(TestHomeserver.account)]
      try await person.request("POST", "rooms/\(room)/invite", ours)
      let supervisor = world.supervise()
      let recorder = DeliveryRecorder(loop: world.loop)
      let first = try await supervisor.post(world.draft("hello"), deadline: world.deadline)
      _ = await supervisor.follow(world.topic, after: first.cursor, sink: recorder.sink)
      let id = try #require(made["room_id"]?.string)
      try await person.say("one", in: id)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 1 })
      try await person.request("POST", "rooms/\(room)/kick", ours)
      try await person.say("two", in: id)
      await expectError(.forbidden) {
        _ = try await supervisor.post(world.draft("x"), deadline: world.loop.now.advanced(by: .seconds(5)))
      }
      try await person.request("POST", "rooms/\(room)/invite", ours)
      try await person.say("three", in: id)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 3 })
      #expect(recorder.messages.map(\.content) == ["one", "two", "three"])
      _ = try await supervisor.post(world.draft("back"), deadline: world.deadline)
    }
  }

  @Test func whatNoEventCarriesIsTooLarge() async throws {
    try await run { world in
      let backend = try await world.backend()
      for text in [String(repeating: "x", count: 200 * 1024), String(repeating: "\u{1}", count: 20 * 1024)] {
        let failure = await expectError(.tooLarge(limit: 48 * 1024)) {
          _ = try await backend.post(world.draft(text), deadline: world.deadline)
        }
        #expect(failure != nil)
      }
      _ = try await backend.post(world.draft(String(repeating: "x", count: 48 * 1024)), deadline: world.deadline)
      var draft = world.draft(String(repeating: "\"", count: 24 * 1024))
      draft.attributes = ["long": String(repeating: "a", count: 4000)]
      _ = try await backend.post(draft, deadline: world.deadline)
      #expect(try await world.fetch(from: backend).count == 2)
    }
  }
}

/// Expects an error with this code, and returns it.
@discardableResult
func expectError(
  _ code: SeamError.Code, at location: SourceLocation = #_sourceLocation, isolation: isolated (any Actor)? = #isolation,
  _ operation: () async throws -> Void
) async -> SeamError? {
  do {
    try await operation()
    Issue.record("no error, expected \(code)", sourceLocation: location)
  } catch let error as SeamError {
    #expect(error.code == code, "\(error)", sourceLocation: location)
    return error
  } catch {
    Issue.record(error, sourceLocation: location)
  }
  return nil
}
