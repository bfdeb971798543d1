import ParleyRuntime
import Testing

@testable import ParleyConfiguration

@Suite struct LoadTests {
  @Test func everyDefault() throws {
    let workspace = try Workspace()
    let configuration = try workspace.load(minimal).configuration
    #expect(configuration.identity == .init(handle: Handle("alice"), mayPostAs: []))
    #expect(configuration.instanceID == "alice")
    #expect(configuration.statePath == workspace.root + "/home/.local/state/parley/alice/read-state.json")
    #expect(configuration.topics == [Topic("general")] && configuration.postTopics.isEmpty)
    #expect(
      configuration.catchUp
        == .init(
          onStart: true, limit: 100, blockMax: .seconds(60), blockPollInterval: .milliseconds(250)))
    #expect(configuration.livePush == .init(isEnabled: false, mentionFilter: false, from: []))
    #expect(
      configuration.presence
        == .init(
          isEnabled: true, topic: Topic("parley-presence"), heartbeat: .seconds(600), lifetime: .seconds(1_800)))
    #expect(!configuration.skipsPermissions && configuration.authentication == .builtin)
    #expect(configuration.backend == "sqlite")
    #expect(configuration.backendSettings.string("db_path") == "parley.db")
    #expect(configuration.backendSettings.integer("poll_interval_ms") == 1_000)
    #expect(configuration.backendSettings.numberIfSet("retention_days") == nil)
    #expect(configuration.limits == Limits())
    #expect(configuration.isStrict && configuration.tools.isEmpty && configuration.logLevel == nil)
  }

  static let everything = """
    {"identity": {"handle": "b\\ud83d\\ude00", "may_post_as": ["ci"]}, "instance_id": "i", "state_path": "s.json",
     "topics": ["a", "b c"], "post_topics": ["ctx-.*"],
     "catchup": {"on_start": false, "limit": 1e3, "block_max_ms": 0, "block_poll_interval_ms": 1},
     "live_push": {"enabled": true, "mention_filter": true, "from": ["carol"]},
     "presence": {"enabled": false, "topic": "p", "heartbeat_ms": 5, "ttl_ms": 5},
     "permissions": {"skip_permissions": true},
     "auth": {"mode": "oidc", "oidc": {"issuer": "http://localhost:1/x", "allowed_usernames": ["u"], "clock_skew_s": 0}},
     "backend": "local-sqlite", "backend_config": {"db_path": ":memory:", "retention_days": 0.5, "durability": "normal"},
     "tools": ["wait"], "limits": {"wait_ms": 5, "content_bytes": 10}, "strict": true, "log_level": "debug"}
    """

  @Test func textsUnderNamesOfOnesChoice() throws {
    let workspace = try Workspace()
    workspace.environment["ROOM"] = "!a:b"
    let loaded = try workspace.load(
      minimal + "backend: remote\nbackend_config:\n  rooms: {general: '${ROOM}', 'a b': \"#c:d\"}\n")
    #expect(loaded.configuration.backendSettings.texts("rooms") == ["general": "!a:b", "a b": "#c:d"])
    #expect(try workspace.load(minimal + "backend: remote\n").configuration.backendSettings.texts("rooms").isEmpty)
    for (text, place) in [("[a]", "rooms"), ("{a: [b]}", "rooms.a"), ("{a: 5}", "rooms.a"), ("{a: ''}", "rooms.a")] {
      let problems = try workspace.problems(minimal + "backend: remote\nbackend_config:\n  rooms: \(text)\n")
      #expect(problems.count == 1 && problems[0].contains("backend_config.\(place)"), "\(text): \(problems)")
    }
  }

  @Test func everyKeyInJSON() throws {
    let workspace = try Workspace()
    workspace.environment["PARLEY_SANDBOX"] = "1"
    let configuration = try workspace.load(Self.everything).configuration
    #expect(configuration.identity == .init(handle: Handle("b😀"), mayPostAs: [Handle("ci")]))
    #expect(configuration.statePath == workspace.root + "/project/s.json")
    #expect(configuration.topics == [Topic("a"), Topic("b c")] && configuration.postTopics == ["ctx-.*"])
    #expect(configuration.catchUp.limit == 1_000 && !configuration.catchUp.onStart)
    #expect(configuration.livePush == .init(isEnabled: true, mentionFilter: true, from: [Handle("carol")]))
    #expect(configuration.presence.lifetime == .milliseconds(5))
    #expect(configuration.skipsPermissions)
    guard case .oidc(let oidc) = configuration.authentication else { return #expect(Bool(false), "oidc expected") }
    #expect(oidc.issuer == "http://localhost:1/x" && oidc.allowedUsernames == ["u"] && oidc.clockSkew == .zero)
    #expect(configuration.backend == "sqlite")
    #expect(configuration.backendSettings.numberIfSet("retention_days") == 0.5)
    #expect(configuration.backendSettings.string("durability") == "normal")
    #expect(configuration.limits.wait == .milliseconds(5) && configuration.limits.contentBytes == 10)
    #expect(configuration.tools == ["wait"] && configuration.logLevel == "debug")
  }

  @Test func theFileIsFoundByArgumentThenEnvironmentThenName() throws {
    let workspace = try Workspace()
    func handle(_ path: String? = nil) throws -> String {
      try workspace.load(path: path).configuration.identity.handle.name
    }
    for name in ["parley.config.yaml", "env.yaml", "argument.yaml"] {
      try workspace.write("project/" + name, "identity: {handle: \(name)}\ntopics: [x]\n")
    }
    #expect(try handle() == "parley.config.yaml")
    workspace.environment["PARLEY_CONFIG"] = "env.yaml"
    #expect(try handle() == "env.yaml")
    #expect(try handle("argument.yaml") == "argument.yaml")
    #expect(try handle(workspace.root + "/project/argument.yaml") == "argument.yaml")
  }

  @Test func variables() throws {
    let workspace = try Workspace()
    workspace.environment = ["HANDLE": "from-process", "NUMBER": "7", "EMPTY": "", "BOTH": "process"]
    try workspace.write(
      "project/.env", "# comment\nexport FILED='a # b'\nBOTH=file\nQUOTED=\"x\\ny\" # tail\nPLAIN= word # tail\n")
    let configuration = try workspace.load(
      """
      identity: {handle: "${HANDLE}", may_post_as: ["$$x", "$y", "${BOTH}", "${FILED}"]}
      topics: ["${EMPTY:-dflt}", "${NOT_SET:-}end", "${PLAIN}-$"]
      catchup:
        limit: "${NUMBER}"
        block_max_ms: ${NUMBER}
      instance_id: ${NUMBER}${QUOTED:-}
      """
    ).configuration
    #expect(configuration.identity.handle.name == "from-process")
    #expect(configuration.identity.mayPostAs.map(\.name) == ["$x", "$y", "process", "a # b"])
    #expect(configuration.topics.map(\.name) == ["dflt", "end", "word-$"])
    #expect(configuration.catchUp.limit == 7 && configuration.catchUp.blockMax == .milliseconds(7))
    #expect(configuration.instanceID == "7x\ny")
    #expect(EnvironmentFile("A=\"x\\ny\"\nB='\n=c\n").values == ["A": "x\ny"])
    #expect(EnvironmentFile("A=1\nB='\n=c\n9=x\n").malformedLines == [2, 3, 4])
  }

  @Test func aMalformedEnvironmentFileIsAProblemOfItsOwn() throws {
    let workspace = try Workspace()
    try workspace.write("project/.env", "GOOD=1\nbad line\n")
    #expect(try workspace.problems(minimal).first?.hasPrefix(".env:2: not an assignment; allowed: NAME=value") == true)
  }

  @Test func secretsFromFiles() throws {
    let workspace = try Workspace()
    try workspace.write("project/secret", "s3cret\n")
    try workspace.write("project/open", "s3cret\r\n", mode: 0o644)
    func remote(_ lines: String) -> String { minimal + "backend: remote\nbackend_config:\n" + lines }
    let loaded = try workspace.load(remote("  password_file: secret\n"))
    #expect(loaded.configuration.backendSettings.string("password") == "s3cret" && loaded.warnings.isEmpty)
    let open = try workspace.load(remote("  password_file: open\n"))
    #expect(open.configuration.backendSettings.string("password") == "s3cret")
    #expect(open.warnings.map(\.finding) == [.exposedSecret(.worldReadable, file: "open")])
    #expect(open.warnings.map(\.line) == [6])
    #expect(
      try workspace.problems(remote("  password_file: nowhere\n")) == [
        "parley.config.yaml:6: backend_config.password_file: \"nowhere\" cannot be read: open: No such file or directory"
      ])
    let both = try workspace.problems(remote("  password_file: secret\n  password: x\n"))
    #expect(both.first?.hasPrefix("parley.config.yaml:7: backend_config.password: given twice") == true)
  }

  @Test func literalSecretsInOpenOrTrackedFiles() throws {
    let workspace = try Workspace()
    workspace.environment["PASS"] = "x"
    func file(_ value: String) -> String { minimal + "backend: remote\nbackend_config: {password: \"\(value)\"}\n" }
    #expect(try workspace.load(file("p")).warnings.isEmpty)
    #expect(
      try workspace.load(file("p"), mode: 0o644).warnings.map(\.finding) == [
        .exposedSecret(.worldReadable, file: "parley.config.yaml")
      ])
    #expect(try workspace.load(file("${PASS}"), mode: 0o644).warnings.isEmpty)
    try workspace.write("project/.env", "FILED=x\n", mode: 0o644)
    #expect(
      try workspace.load(file("${FILED}")).warnings.map(\.finding) == [.exposedSecret(.worldReadable, file: ".env")])
    try workspace.write("project/.git/index", GitIndexTests.index(["a", "parley.config.yaml"], version: 2))
    let tracked = try workspace.load(file("p")).warnings
    #expect(tracked.map(\.finding) == [.exposedSecret(.gitTracked, file: "parley.config.yaml")])
    #expect(tracked.map(\.keyPath) == ["backend_config.password"] && tracked.map(\.line) == [5])
  }

  @Test func shownConfigurationHidesSecretsAndMeansTheSame() throws {
    let workspace = try Workspace()
    let loaded = try workspace.load(
      minimal
        + "backend: remote\nbackend_config: {password: hush, url: \"remote://u:hush@host/x\"}\ninstance_id: \"a$$b: 'c'\"\n"
    )
    let shown = loaded.shown
    #expect(!shown.contains("hush"))
    #expect(shown.contains("  password: \"<redacted>\"  # line 5\n"))
    #expect(shown.contains("  url: \"remote://u:<redacted>@host/x\"  # line 5\n"))
    #expect(shown.contains("  ttl_ms: 1800000  # 3 times presence.heartbeat_ms\n"))
    #expect(shown.contains("  limit: 100  # default\n"))
    let again = try workspace.load(shown).configuration
    #expect(again.instanceID == "a$b: 'c'" && again.statePath == loaded.configuration.statePath)
    #expect(again.presence == loaded.configuration.presence && again.limits == loaded.configuration.limits)
  }
}
