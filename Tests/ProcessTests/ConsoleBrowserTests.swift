import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// The console in a real browser (Debian's Chromium, driven by Playwright), over a real store that others write to:
/// live, by keyboard, on a phone, in dark mode, without JavaScript, and with text, names and tasks that are attacks.
@Suite struct ConsoleBrowserTests {
  private static let attack = "<img src=x onerror=alert(1)><script>alert(2)</script>"

  private static func configuration(_ handle: String, _ extra: String) -> String {
    """
    backend: sqlite
    identity: { handle: \(handle), may_post_as: [ann, coder, '\(attack)'] }
    topics: [general, '\(attack)']
    live_push: { enabled: true }
    backend_config: { db_path: parley.db }
    approvals: { topic: approvals, approvers: [ann], secret_file: approvals.key }
    \(extra)

    """
  }

  @Test func theOwnerTakesPartByTheConsole() throws {
    try Workplace.use { place async throws in
      let port = try FreePort()
      let address = "http://127.0.0.1:\(port.number)"
      try place.write("approvals.key", "0123456789abcdef0123456789abcdef\n")
      try place.write("coder.yaml", Self.configuration("coder", ""))
      try place.write(
        "console.yaml",
        Self.configuration(
          "web",
          """
          auth: { store: auth.store }
          http: { listen: "127.0.0.1:\(port.number)", console: { handle: ann } }
          """))
      // Without an owner nobody could log in.
      let shut = try await place.run("serve", "--http", "--config", "console.yaml")
      #expect(shut.status == 3 && shut.errors.contains { $0.contains("http.console") })
      let owner = try await place.run(
        "owner", "set", "--config", "console.yaml", input: OAuthSDKTests.passphrase + "\n")
      try #require(owner.status == 0, "\(owner)")
      let door = try place.start(["serve", "--http", "--config", "console.yaml"])
      try #require(await door.wait(until: place.soon) { $0.errorLines.contains { $0.contains("door open") } })
      let browser = try ChildProcess(
        loop: place.loop, path: try TestPrograms.path("python3"),
        arguments: [
          "-u", "-c", Self.script, address, OAuthSDKTests.passphrase, try TestPrograms.path("chromium"),
          Environment.value("PARLEY_SCREENSHOTS") ?? "", try ChildProcess.parleyPath(),
        ],
        environment: place.environment.merging(["NO_PROXY": "*"]) { $1 }, directory: place.folder.path)
      let exit = await browser.waitForExit(until: place.loop.now.advanced(by: .seconds(180)))
      #expect(exit == .status(0), "\(browser.errorLines.suffix(30).joined(separator: "\n"))")
      #expect(
        browser.outputLines == [
          "wrong passphrase told", "let in by keyboard", "a message appears live, what is being typed stays",
          "posted and replied by keyboard", "marked as read", "text is text", "claimed and finished a task",
          "allowed and denied", "pictures of health", "phone fits, in the dark", "works without script",
          "logged out everywhere in this browser",
        ])
      door.kill(SIGTERM)
      #expect(await door.waitForExit(until: place.soon) == .status(0))
    }
  }
}
