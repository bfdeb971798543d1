import ArgumentParser
import ParleyConfiguration
import ParleyCoordination
import ParleyRuntime

/// `parley doctor`: looks at everything that can be wrong, and says how to mend it.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Check configuration, files, backend, latency and client registration.",
    discussion:
      "Every finding that is not ok comes with its fix. Ends with 0 when nothing is an error, with 3 when the configuration is, else with 1."
  )

  @OptionGroup var shared: SharedOptions

  @Option(help: "Give up on an unreachable backend after this many seconds.")
  var patience: Double = 5

  func validate() throws {
    guard patience > 0, patience <= 3600 else { throw ValidationError("--patience must be more than 0.") }
  }

  func run() throws {
    try shared.configureLog(configured: nil, default: .error)
    var findings: [Finding] = []
    var isMisconfigured = false
    do throws(ConfigurationError) {
      let loaded = try Launch.load(shared)
      findings += configurationFindings(loaded)
      findings += try backendFindings(loaded.configuration)
    } catch {
      isMisconfigured = true
      for problem in error.problems {
        findings.append(Finding(.error, "configuration", "\(problem)", fix: "mend it, then run 'parley config check'"))
      }
    }
    findings += ClientRegistrations(surroundings: .process).findings()
    findings += Self.channelNotes
    for finding in findings { print(finding) }
    if isMisconfigured { throw QuietFailure(status: .configuration) }
    if findings.contains(where: { $0.level == .error }) { throw QuietFailure(status: .failed) }
  }

  private func configurationFindings(_ loaded: LoadedConfiguration) -> [Finding] {
    let configuration = loaded.configuration
    var findings = [
      Finding(
        .ok, "configuration",
        "\(loaded.path ?? "no file, defaults for this project"): handle \(configuration.identity.handle), "
          + "topics \(configuration.topics.map(\.name).joined(separator: ", "))")
    ]
    for warning in loaded.warnings { findings.append(Finding(.warning, "configuration", "\(warning)")) }
    if configuration.skipsPermissions {
      findings.append(
        Finding(
          .warning, "permissions", "permissions.skip_permissions is on (PARLEY_SANDBOX=1); it never grants an approval",
          fix: "remove it outside of a sandbox"))
    }
    if !configuration.livePush.isEnabled {
      findings.append(
        Finding(
          .note, "live push", "off: agents learn of news by tool results and resources only",
          fix: "set live_push.enabled: true for Claude Code's channels"))
    }
    return findings
  }

  private func backendFindings(_ configuration: Configuration) throws(ConfigurationError) -> [Finding] {
    do {
      let plugin = try Launch.plugin(of: configuration)
      let loop = try EventLoop(name: "doctor")
      let backend = try plugin.make(loop, configuration.backendSettings)
      let settings = configuration.backendSettings
      let setup = Launch.setup(
        configuration, author: try Launch.author(of: configuration), patience: .milliseconds(Int64(patience * 1000)))
      return try loop.run {
        let supervisor = Supervisor(loop: loop, backend: backend)
        let life = loop.spawn { await supervisor.run() }
        let probed = await LatencyProbe(setup: setup, supervisor: supervisor).findings()
        let approving = await approvalFindings(configuration.approvals, setup, supervisor)
        let diagnosed = await plugin.diagnose(settings, setup.topics)
        life.cancel()
        await life.value
        return probed + approving + diagnosed
      }
    } catch let error as SeamError {
      return [Finding(.error, "backend", error.description, fix: "see the configuration's backend_config")]
    } catch {
      return [Finding(.error, "backend", "\(error)")]
    }
  }

  /// Who may answer what is asked, and whether anybody can.
  private func approvalFindings(
    _ approvals: Configuration.Approvals?, _ setup: Hub.Setup, _ supervisor: Supervisor
  ) async -> [Finding] {
    guard let rules = approvals?.rules else { return [] }
    let fix = "name a person under approvals.approvers by an account that no Parley process posts with"
    if let obstacle = rules.obstacle(to: setup.author.handle, on: await supervisor.traits) {
      return [Finding(.error, "approvals", obstacle, fix: fix + ", or give approvals.secret_file")]
    }
    let deadline = supervisor.loop.now.advanced(by: setup.patience)
    if let own = await rules.ownApprovers(on: supervisor, until: deadline) {
      return [Finding(own.areAll ? .error : .warning, "approvals", own.reason, fix: fix)]
    }
    let names = rules.approvers.map(\.name).joined(separator: ", ")
    return [Finding(.ok, "approvals", "asked on \(rules.topic.name), answered by \(names)")]
  }

  private func print(_ finding: Finding) {
    let output = shared.output
    output.line("[\(finding.level.rawValue)] \(finding.subject): \(VisibleText.visible(finding.what))")
    if let fix = finding.fix { output.line("    fix: \(fix)") }
    output.object { writer in
      writer.member("level", finding.level.rawValue)
      writer.member("subject", finding.subject)
      writer.member("what", finding.what)
      if let fix = finding.fix { writer.member("fix", fix) }
    }
  }

  /// What no look at this machine can tell: the state of Claude Code's channels as of 2026-11.
  private static let channelNotes = [
    Finding(
      .note, "channels",
      "Claude Code's channels are a research preview: version 2.1.80 or later, started with "
        + "--dangerously-load-development-channels server:parley (asked for in the terminal, ignored with -p); "
        + "not with Bedrock, Vertex, Foundry or a gateway; Team and Enterprise must allow channelsEnabled",
      fix: "without them use parley_wait, or the unread counts that every tool result carries")
  ]
}
