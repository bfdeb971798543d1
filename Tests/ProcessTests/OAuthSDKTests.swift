import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// The official Python SDK logs in to the real program, as any MCP client does: discovery, registration, consent in what
/// stands for a browser, tokens, a tool call, refresh, a step up, revocation.
@Suite struct OAuthSDKTests {
  static let passphrase = "correct horse battery staple"

  /// A served door with its authorization server, and an owner.
  final class Door: Sendable {
    let process: ChildProcess
    let address: String

    init(_ place: Workplace, port: FreePort, more: String = "") async throws {
      address = "http://127.0.0.1:\(port.number)"
      try place.write(
        "login.yaml",
        Workplace.configuration(
          "web",
          extra: """
            auth: { public_url: "\(address)", store: door/auth.store\(more) }
            http: { listen: "127.0.0.1:\(port.number)" }
            """))
      process = try place.start(["serve", "--http", "--config", "login.yaml", "--log-level", "info"])
      try #require(
        await process.wait(until: place.soon) { $0.exit != nil || $0.errorLines.contains { $0.contains("door open") } })
    }
  }

  /// Runs the client; the lines that it prints.
  private func client(_ place: Workplace, _ arguments: String...) async throws -> [String] {
    let child = try ChildProcess(
      loop: place.loop, path: try TestPrograms.path("python3"),
      arguments: ["-u", "-c", Self.script] + arguments,
      environment: ["PATH": "/usr/bin:/bin", "HOME": place.folder.path, "NO_PROXY": "*"], directory: place.folder.path)
    let exit = await child.waitForExit(until: place.loop.now.advanced(by: .seconds(90)))
    #expect(exit == .status(0), "\(child.errorLines.suffix(30).joined(separator: "\n"))")
    return child.outputLines
  }

  private func owner(_ place: Workplace, _ configuration: String = "login.yaml") async throws {
    let run = try await place.run("owner", "set", "--config", configuration, input: Self.passphrase + "\n")
    try #require(run.status == 0, "\(run)")
  }

  @Test func logsInCallsToolsRefreshesStepsUpAndRevokes() throws {
    try Workplace.use { place async throws in
      let port = try FreePort()
      // Without an owner nobody could be let in: the door stays shut.
      let shut = try await Door(place, port: port)
      #expect(await shut.process.waitForExit(until: place.soon) == .status(3))
      #expect(shut.process.errorLines.contains { $0.contains("parley owner set") })
      try await owner(place)
      let door = try await Door(place, port: port)
      let lines = try await client(place, "login", door.address, Self.passphrase)
      #expect(
        lines == [
          "modern posted as ada", "legacy posted as ada", "narrow token refused, stepped up", "refreshed",
          "revoked", "code replay refused", "issuer mismatch noticed",
        ], "\(lines)")
      #expect(try await place.run("fetch", "general").output.contains { $0.hasSuffix("ada> modern") })
      // Tokens, codes and the passphrase are in no log.
      let log = door.process.errorLines.joined(separator: "\n")
      #expect(log.contains("auth: consent given") && log.contains("path=/token"))
      for secret in ["parley_at_", "parley_rt_", "parley_ac_", "parley_st_", Self.passphrase, "code=", "code_verifier"]
      {
        #expect(!log.contains(secret), "\(secret)")
      }
      // What was given survives a restart.
      door.process.kill(SIGTERM)
      #expect(await door.process.waitForExit(until: place.soon) == .status(0))
      let again = try await Door(place, port: port)
      #expect(try await client(place, "stored", again.address) == ["stored tokens work"])
      let clients = await place.runJSONLines("clients", "list", "--json", "--config", "login.yaml")
      #expect(clients.allSatisfy { $0["name"] == "Parley test" && $0["kind"] == "registered" })
      #expect(clients.contains { $0["consents"]?[0]?["handle"] == "ada" })
      let ids = clients.compactMap { $0["id"]?.string }
      for id in ids {
        #expect(try await place.run("clients", "revoke", id, "--config", "login.yaml").status == 0)
        #expect(try await place.run("clients", "revoke", id, "--config", "login.yaml").status == 2)
      }
      #expect(try await client(place, "refused", again.address) == ["stored tokens no longer work"])
      again.process.kill(SIGTERM)
      #expect(await again.process.waitForExit(until: place.soon) == .status(0))
    }
  }

  @Test func tokensOfTheOwner() throws {
    try Workplace.use { place async throws in
      let port = try FreePort()
      try place.write(
        "login.yaml",
        Workplace.configuration(
          "web", extra: "auth: { store: auth.store }\nhttp: { listen: \"127.0.0.1:\(port.number)\" }"))
      #expect(try await place.run("serve", "--http", "--config", "login.yaml").status == 3)
      let made = try await place.run(
        "token", "create", "--config", "login.yaml", "--handle", "ci", "--scope", "parley:read", "--ttl", "1h",
        "--name",
        "build")
      let reading = try #require(made.output.first)
      #expect(made.status == 0 && reading.hasPrefix("parley_st_") && made.errors.contains { $0.contains("as ci") })
      let json = await place.runJSONLines("token", "create", "--json", "--config", "login.yaml", "--handle", "bot")
      let posting = try #require(json.first?["token"]?.string)
      let text = try #require(TextFile.read(place.folder.path("auth.store")))
      #expect(!text.contains(reading) && !text.contains(posting))
      let process = try place.start(["serve", "--http", "--config", "login.yaml"])
      try #require(await process.wait(until: place.soon) { $0.errorLines.contains { $0.contains("door open") } })
      let address = "http://127.0.0.1:\(port.number)"
      #expect(try await client(place, "token", address, posting, "bot") == ["posted as bot"])
      #expect(try await client(place, "reading", address, reading) == ["read, and was refused to post"])
      let admin = try await place.run("token", "create", "--config", "login.yaml", "--scope", "parley:admin")
      #expect(try await client(place, "metrics", address, try #require(admin.output.first)) == ["posts 1"])
      let listed = await place.runJSONLines("token", "list", "--json", "--config", "login.yaml")
      let ids = listed.compactMap { $0["id"]?.string }
      #expect(ids.count == 3 && listed.contains { $0["name"] == "build" && $0["handle"] == "ci" })
      for id in ids { #expect(try await place.run("token", "revoke", id, "--config", "login.yaml").status == 0) }
      // The server knows at its next request.
      #expect(try await client(place, "unknown", address, posting) == ["refused"])
      for wrong in [
        ["--scope", "parley:everything"], ["--ttl", "soon"], ["--ttl", "0h"], ["--handle", "system"], ["--handle", ""],
      ] {
        let process = try place.start(["token", "create", "--config", "login.yaml"] + wrong)
        process.closeInput()
        #expect(await process.waitForExit(until: place.soon) == .status(2), "\(wrong)")
      }
      process.kill(SIGTERM)
      #expect(await process.waitForExit(until: place.soon) == .status(0))
    }
  }

  @Test func aWeakPassphraseIsRefused() throws {
    try Workplace.use { place async throws in
      for weak in ["", "short", "12345678901"] {
        #expect(try await place.run("owner", "set", input: weak + "\n").status == 2)
      }
      let long = String(repeating: "x", count: 1025)
      #expect(try await place.run("owner", "set", input: long).status == 2)
    }
  }
}
