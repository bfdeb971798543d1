import ParleyRuntime
import Testing

@testable import ParleyConfiguration

/// One file of several lines, and the start of every problem it has.
struct Mistake: Sendable, CustomTestStringConvertible {
  let text: String
  let expected: [String]

  /// `added` begins at line 4, after `minimal`.
  init(adding added: String, _ expected: String...) {
    text = minimal + added
    self.expected = expected
  }

  init(_ text: String, _ expected: String...) {
    self.text = text
    self.expected = expected
  }

  var testDescription: String { expected.joined(separator: " | ") }
}

@Suite struct ProblemTests {
  @Test(arguments: [
    Mistake("", "1: identity.handle: required, but missing", "1: topics: required, but missing"),
    Mistake("identity: {}\ntopics: []\n", "1: identity.handle: required", "2: topics: must hold at least 1 element"),
    Mistake(
      "identity:\n  handle: ''\ntopics: ['']\n", "2: identity.handle: must not be empty", "3: topics.0: must not be"),
    Mistake(
      "identity: {handle: 7}\ntopics: general\n",
      "1: identity.handle: must be a string, but is a number", "2: topics: must be a list of strings, but is a string"),
    Mistake(adding: "live_psh: {}\n", "4: live_psh: unknown key; did you mean \"live_push\"? allowed: identity, "),
    Mistake(adding: "live_push:\n  enabeld: true\n", "5: live_push.enabeld: unknown key; did you mean \"enabled\"?"),
    Mistake(adding: "zebra: 1\n", "4: zebra: unknown key; allowed: identity"),
    Mistake(adding: "live_push: {enabled: 'true'}\n", "4: live_push.enabled: must be true or false, but is a string"),
    Mistake(adding: "live_push:\n", "4: live_push: must be a block of keys, but is null; allowed: a value, or no key"),
    Mistake(adding: "catchup: {limit: '5'}\n", "4: catchup.limit: must be a whole number, but is a string"),
    Mistake(adding: "catchup: {limit: 1.5}\n", "4: catchup.limit: must be a whole number, but is a number with"),
    Mistake(adding: "catchup: {limit: 0}\n", "4: catchup.limit: 0 is out of range; allowed: 1 or more"),
    Mistake(adding: "catchup: {block_max_ms: -1}\n", "4: catchup.block_max_ms: -1 is out of range; allowed: 0 to"),
    Mistake(adding: "catchup: {block_poll_interval_ms: 0}\n", "4: catchup.block_poll_interval_ms: 0 is out of"),
    Mistake(adding: "presence: {heartbeat_ms: 0}\n", "4: presence.heartbeat_ms: 0 is out of range"),
    Mistake(adding: "presence: {ttl_ms: 0}\n", "4: presence.ttl_ms: 0 is out of range"),
    Mistake(adding: "presence: {topic: ''}\n", "4: presence.topic: must not be empty"),
    Mistake(
      adding: "presence:\n  heartbeat_ms: 10\n  ttl_ms: 9\n",
      "6: presence.ttl_ms: presence.ttl_ms must be >= presence.heartbeat_ms; peers would appear offline between beats"),
    Mistake(adding: "sessions: {identity: each}\n", "4: sessions.identity: \"each\" is not one of the choices"),
    Mistake(
      adding: "compat: [duo]\nsessions:\n  identity: per_session\n",
      "6: sessions.identity: \"per_session\" needs the names that the tool set channels gives"),
    Mistake(
      adding: "presence: {topic: general}\n",
      "3: topics: \"general\" is reserved for presence (presence.topic); rename the topic or change presence.topic"),
    Mistake(
      "identity: {handle: a}\ntopics:\n  - b\n  - parley-presence\n", "4: topics: \"parley-presence\" is reserved"),
    Mistake(
      "identity: {handle: a}\ntopics: ['@bob', '~c']\n",
      "2: topics.0: \"@bob\" is a reserved name", "2: topics.1: \"~c\" is a reserved name"),
    Mistake(
      "identity: {handle: all, may_post_as: [' ', system]}\ntopics: [a]\n",
      "1: identity.handle: \"all\" is nobody's name", "1: identity.may_post_as.0: \" \" is nobody's name",
      "1: identity.may_post_as.1: \"system\" is nobody's name"),
    Mistake(
      "identity: {handle: \"a\\nb\"}\ntopics: [\"x\\0y\"]\n",
      "1: identity.handle: contains a control", "2: topics.0: contains a control"),
    Mistake(adding: "post_topics:\n  - ok-.*\n  - '('\n", "6: post_topics.1: invalid regex: "),
    Mistake(adding: "post_topics: ['']\n", "4: post_topics.0: must not be empty"),
    Mistake(
      adding: "limits: {topic_bytes: 3, handle_bytes: 4}\n",
      "1: presence.topic: 15 bytes long",
      "2: identity.handle: 5 bytes long, over the limit of 4; allowed: limits.handle_bytes",
      "3: topics.0: 7 bytes long"),
    Mistake(adding: "limits: {json_depth: 1000}\n", "4: limits.json_depth: 1000 is out of range; allowed: 8 to 256"),
    Mistake(
      adding: "permissions: {skip_permissions: true}\n",
      "4: permissions.skip_permissions: true is refused outside a sandbox"),
    Mistake(
      adding: "auth: {mode: oidcc}\n", "4: auth.mode: \"oidcc\" is not one of the choices; did you mean \"oidc\"?"),
    Mistake(adding: "auth: {mode: oidc}\n", "4: auth.oidc: auth.mode \"oidc\" requires an auth.oidc block"),
    Mistake(
      adding: "auth:\n  oidc:\n    issuer: http://id.example\n    required_scope: x\n",
      "5: auth.oidc: lets in everyone", "6: auth.oidc.issuer: an issuer is reached over https"),
    Mistake(
      adding: "auth:\n  oidc:\n    issuer: nowhere\n    allowed_subjects: []\n    jwks_uri: x\n    clock_skew_s: 301\n",
      "6: auth.oidc.issuer: not a URL", "7: auth.oidc.allowed_subjects: must hold at least 1 element",
      "8: auth.oidc.jwks_uri: not a URL", "9: auth.oidc.clock_skew_s: 301 is out of range; allowed: 0 to 300"),
    Mistake(adding: "auth: {oidc: {required_role: r}}\n", "4: auth.oidc.issuer: required, but missing"),
    Mistake(
      adding: "backend: sqlit\n",
      "4: backend: this program does not carry the backend \"sqlit\"; did you mean \"sqlite\"? allowed: sqlite, local-sqlite, remote"
    ),
    Mistake(
      adding: "backend: redis\n", "4: backend: this program does not carry the backend \"redis\"; allowed: sqlite"),
    Mistake(adding: "backend: 7\n", "4: backend: must be a string, but is a number"),
    Mistake(
      adding:
        "backend_config:\n  poll_interval_ms: 60001\n  db_path: 3\n  durability: ful\n  retention_days: -1\n  durabilty: x\n",
      "5: backend_config.poll_interval_ms: 60001 is out of range; allowed: 1 to 60000",
      "6: backend_config.db_path: must be a path, but is a number",
      "7: backend_config.durability: \"ful\" is not one of the choices; did you mean \"full\"? allowed: full, normal",
      "8: backend_config.retention_days: -1 is out of range",
      "9: backend_config.durabilty: unknown key; did you mean \"durability\"?"),
    Mistake(adding: "log_level: loud\n", "4: log_level: \"loud\" is not one of the choices"),
    Mistake(adding: "strict: no\n", "4: strict: must be true or false, but is a string"),
    Mistake(
      adding: "instance_id: ${NOWHERE}\n",
      "4: instance_id: the environment variable NOWHERE is not set; allowed: set it"),
    Mistake(adding: "instance_id: '${not ended'\n", "4: instance_id: a variable that does not end"),
    Mistake(adding: "topics: [x]\n", "4: not YAML: the key \"topics\" stands already in line 3"),
    Mistake(adding: "a: [\n", "5: not YAML: "),
    Mistake(adding: "a: *nobody\n", "4: not YAML: no anchor &nobody"),
    Mistake("[1]\n", "1: must be a block of keys, but is a list"),
  ])
  func everyRule(_ mistake: Mistake) throws {
    let workspace = try Workspace()
    let problems = try workspace.problems(mistake.text)
    #expect(problems.count == mistake.expected.count, "\(problems)")
    for (problem, expected) in zip(problems, mistake.expected) {
      #expect(problem.hasPrefix("parley.config.yaml:" + expected), "\(problem)")
    }
  }

  @Test func unknownKeysAreForgivenWhenNotStrict() throws {
    let loaded = try Workspace().load(minimal + "strict: false\nlive_psh: 1\nbackend_config: {dbpath: x}\n")
    #expect(loaded.warnings.map(\.keyPath) == ["live_psh", "backend_config.dbpath"])
    #expect(loaded.warnings.map(\.line) == [5, 6])
    #expect(loaded.warnings.last?.suggestion == "db_path")
    #expect(loaded.checkLines.last == "parley.config.yaml: valid")
  }

  @Test func aNamedFileMustExist() throws {
    let workspace = try Workspace()
    #expect(throws: ConfigurationError.self) { try workspace.load(path: "nowhere.yaml") }
    workspace.environment["PARLEY_CONFIG"] = "missing.yaml"
    do {
      _ = try workspace.load(minimal)
      Issue.record("a missing file was accepted")
    } catch let error as ConfigurationError {
      #expect(error.description == "missing.yaml: cannot be read: open: No such file or directory")
    }
  }

  @Test func repeatedTopicsAreNoticed() throws {
    let loaded = try Workspace().load("identity: {handle: a}\ntopics: [x, y, x]\n")
    #expect(loaded.warnings.map(\.keyPath) == ["topics.2"])
  }

  @Test(arguments: [
    ("live_psh", "live_push"), ("livePush", "live_push"), ("live-push", "live_push"), ("topcis", "topics"),
    ("bakend", "backend"),
  ])
  func suggestions(_ typed: String, _ meant: String) {
    let names = ConfigurationSchema.root(backend: sqlite, defaultBackend: "sqlite").settings.map(\.name)
    #expect(EditDistance.nearest(to: typed, among: names) == meant)
  }

  @Test func noSuggestionForAnotherWord() {
    #expect(EditDistance.nearest(to: "colour", among: ["topics", "tools", "limits"]) == nil)
    #expect(EditDistance.between("abcd", "abdc") == 1)
    #expect(EditDistance.between("kitten", "sitting") == 3)
  }
}
