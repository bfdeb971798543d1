import ParleyNATS
import ParleyRuntime
import Testing

@testable import ParleyConfiguration

/// What `backend_config` of `backend: nats` may hold.
@Suite struct NATSSettingsTests {
  private func load(_ lines: String...) throws -> Settings {
    let workspace = try Workspace()
    let config = lines.map { "  \($0)\n" }.joined()
    try workspace.write(
      "project/parley.config.yaml", minimal + "backend: nats\n" + (config.isEmpty ? "" : "backend_config:\n" + config))
    return try Configuration.load(
      in: workspace.surroundings, backends: [sqlite, NATSOptions.description], leasesHandle: false
    ).configuration.backendSettings
  }

  private func problems(_ lines: String...) -> [String] {
    let workspace = try? Workspace()
    let text = minimal + "backend: nats\nbackend_config:\n" + lines.map { "  \($0)\n" }.joined()
    do {
      try workspace?.write("project/parley.config.yaml", text)
      guard let workspace else { return ["no workspace"] }
      _ = try Configuration.load(
        in: workspace.surroundings, backends: [sqlite, NATSOptions.description], leasesHandle: false)
      return []
    } catch let error as ConfigurationError {
      return error.problems.map(\.description)
    } catch {
      return ["\(error)"]
    }
  }

  @Test func defaults() throws {
    let options = try NATSOptions(load())
    #expect(options == NATSOptions())
    #expect(
      options.servers == ["127.0.0.1:4222"] && options.subjectPrefix == "parley." && options.streamPrefix == "PARLEY_")
  }

  @Test("one server as text, or several as a list, as in the TypeScript Parley")
  func servers() throws {
    #expect(try NATSOptions(load("servers: h1:4222")).servers == ["h1:4222"])
    #expect(try NATSOptions(load("servers: [h1:4222, 'tls://h2']")).servers == ["h1:4222", "tls://h2"])
  }

  @Test func everyKey() throws {
    let options = try NATSOptions(
      load(
        "servers: [a, b]", "subject_prefix: team.", "stream_prefix: TEAM_", "inbox_prefix: mine.inbox", "domain: hub",
        "user: u", "password: p", "tls: {required: true, ca_file: ca, cert_file: c, key_file: k, server_name: s}",
        "retention_days: 0.5", "max_bytes: 4096", "replicas: 3", "storage: memory", "key_window_hours: 2",
        "watchdog_ms: 1000", "connect_timeout_ms: 500"))
    #expect(options.credentials == .user("u", password: "p") && options.domain == "hub" && options.replicas == 3)
    #expect(options.storage == .memory && options.maximumBytes == 4096 && options.retentionDays == 0.5)
    #expect(options.keyWindow == .seconds(7200) && options.watchdog == .seconds(1))
    #expect(options.tls.isRequired && options.tls.keyFile == "k" && options.tls.serverName == "s")
  }

  @Test(
    "wrong types and values are refused with their place",
    arguments: [
      ("servers: 4222", "backend_config.servers: must be a string or a list of strings, but is a number"),
      ("servers: []", "backend_config.servers: must hold at least 1 element"),
      ("servers: [1]", "backend_config.servers.0: must be a string"),
      ("servers: ''", "backend_config.servers: must not be"),
      ("replicas: '3'", "backend_config.replicas: must be a whole number, but is a string"),
      ("replicas: 6", "backend_config.replicas: 6 is out of range"),
      ("storage: tape", "backend_config.storage:"), ("tls: yes", "backend_config.tls: must be a block of keys"),
      ("retention_days: many", "backend_config.retention_days: must be a number"),
      ("subject_prefix: ''", "backend_config.subject_prefix: must not be empty"),
      ("sevrers: a", "backend_config.sevrers: unknown key; did you mean \"servers\"?"),
    ])
  func refused(_ line: String, _ problem: String) {
    #expect(problems(line).contains { $0.contains(problem) }, "\(problems(line))")
  }

  @Test func keysThatExcludeOrNeedEachOther() throws {
    for lines in [
      ["user: u"], ["password: p"], ["user: u", "password: p", "token: t"], ["token: t", "creds_file: c"],
    ] {
      let settings = try load(lines.joined(separator: "\n  "))
      #expect(throws: SeamError.self) { try NATSOptions(settings) }
    }
    for line in [
      "tls: {cert_file: c}", "subject_prefix: a.*.", "stream_prefix: A.", "inbox_prefix: _INBOX.", "domain: a.b",
    ] {
      let settings = try load(line)
      #expect(throws: SeamError.self, "\(line)") { try NATSOptions(settings) }
    }
  }
}
