import ParleyRuntime

/// The rules that the schema cannot say. Each looks only at values that fit it, so that one mistake is told once.
struct ConfigurationRules {
  let file: String
  let root: ResolvedBlock
  let surroundings: Surroundings
  private(set) var problems: [ConfigurationProblem] = []
  private(set) var warnings: [ConfigurationProblem] = []

  /// `toolNames` are those that `tools` may hold; empty where the caller has no tools to offer. `compat` are tool sets
  /// beside those of the file.
  init(file: String, root: ResolvedBlock, surroundings: Surroundings, toolNames: [String], compat: [String] = []) {
    self.file = file
    self.root = root
    self.surroundings = surroundings
    checkTopics()
    checkPostTopics()
    checkHandles()
    checkPresence()
    checkPermissions()
    checkApprovals()
    checkAuthentication()
    checkHTTP()
    checkHooks()
    if !toolNames.isEmpty { checkTools(toolNames) }
    checkCompat(compat)
  }

  private mutating func checkCompat(_ further: [String]) {
    let names = ConfigurationSchema.compatSets
    each("compat") { names.contains($0) ? nil : .notAChoice(value: $0, among: names) }
    guard let entry = root.entry("compat"), case .strings(let chosen) = entry.value else { return }
    if string("sessions.identity") == "per_session", !(chosen + further).contains("channels") {
      report("sessions.identity", line("sessions.identity"), .sessionsWithoutNames)
    }
    for set in names where chosen.contains(set) {
      for path in ["compat_options.\(set).prefix", "compat_options.\(set).topic"] {
        if let name = string(path) { checkTopic(name, path, line(path)) }
      }
    }
  }

  private mutating func checkTools(_ names: [String]) {
    guard let entry = root.entry("tools"), case .strings(let tools) = entry.value else { return }
    for (index, tool) in tools.enumerated() where !names.contains(tool) {
      let line = index < entry.elementLines.count ? entry.elementLines[index] : line("tools")
      report("tools.\(index)", line, .notAChoice(value: tool, among: names))
    }
  }

  private mutating func checkTopics() {
    let presenceTopic = string("presence.topic")
    if let presenceTopic { checkTopic(presenceTopic, "presence.topic", line("presence.topic")) }
    guard let entry = root.entry("topics"), case .strings(let topics) = entry.value else { return }
    if let limit = integer("limits.topics_subscribed"), topics.count > limit {
      report("topics", line("topics"), .tooManyTopics(count: topics.count, limit: limit))
    }
    var seen: Set<String> = []
    for (index, topic) in topics.enumerated() {
      let line = index < entry.elementLines.count ? entry.elementLines[index] : line("topics")
      checkTopic(topic, "topics.\(index)", line)
      if topic == presenceTopic { report("topics", line, .presenceTopicListed(topic)) }
      if !seen.insert(topic).inserted { warn("topics.\(index)", line, .repeatedTopic(topic)) }
    }
  }

  private mutating func checkTopic(_ name: String, _ path: String, _ line: Int?) {
    if Topic(name).isReserved { report(path, line, .reservedTopic(name)) }
    if name.utf8.contains(0) { report(path, line, .controlCharacter) }
    checkLength(name, path, line, limit: "limits.topic_bytes")
  }

  private mutating func checkPostTopics() {
    guard let entry = root.entry("post_topics"), case .strings(let sources) = entry.value else { return }
    for (index, source) in sources.enumerated() {
      do throws(HubError) {
        _ = try TopicPattern(source)
      } catch {
        let line = index < entry.elementLines.count ? entry.elementLines[index] : line("post_topics")
        guard case .badArgument(_, let reason) = error else { continue }
        report("post_topics.\(index)", line, .invalidRegex(reason: "\(quoted(source)): \(reason)"))
      }
    }
  }

  private mutating func checkHandles() {
    if let handle = string("identity.handle") {
      checkHandle(handle, "identity.handle", line("identity.handle"))
    }
    for path in ["identity.may_post_as", "live_push.from"] {
      guard let entry = root.entry(path), case .strings(let handles) = entry.value else { continue }
      for (index, handle) in handles.enumerated() {
        let line = index < entry.elementLines.count ? entry.elementLines[index] : line(path)
        checkHandle(handle, "\(path).\(index)", line)
      }
    }
  }

  private mutating func checkHandle(_ handle: String, _ path: String, _ line: Int?) {
    if Handle(handle).isUnclear { report(path, line, .controlCharacter) }
    if Handle(handle).isReserved { report(path, line, .reservedHandle(handle)) }
    checkLength(handle, path, line, limit: "limits.handle_bytes")
  }

  private mutating func checkLength(_ text: String, _ path: String, _ line: Int?, limit limitKey: String) {
    if let limit = integer(limitKey), text.utf8.count > limit {
      report(path, line, .tooLong(bytes: text.utf8.count, limit: limit, limitKey: limitKey))
    }
  }

  private mutating func checkPresence() {
    if let lifetime = integer("presence.ttl_ms"), let heartbeat = integer("presence.heartbeat_ms"), lifetime < heartbeat
    {
      report("presence.ttl_ms", line("presence.ttl_ms"), .lifetimeBelowHeartbeat)
    }
  }

  private mutating func checkPermissions() {
    let path = "permissions.skip_permissions"
    if case .boolean(true) = root.entry(path)?.value, surroundings["PARLEY_SANDBOX"] != "1" {
      report(path, line(path), .skipPermissions)
    }
  }

  private mutating func checkApprovals() {
    if let topic = string("approvals.topic") { checkTopic(topic, "approvals.topic", line("approvals.topic")) }
    if let entry = root.entry("approvals.approvers"), case .strings(let approvers) = entry.value {
      for (index, approver) in approvers.enumerated() {
        let line = index < entry.elementLines.count ? entry.elementLines[index] : line("approvals.approvers")
        checkHandle(approver, "approvals.approvers.\(index)", line)
      }
    }
    if let secret = string("approvals.secret"), secret.utf8.count < 16 {
      report("approvals.secret", line("approvals.secret"), .shortToken(bytes: secret.utf8.count))
    }
  }

  private mutating func checkAuthentication() {
    if let address = string("auth.public_url"), !Self.isOrigin(address) {
      report("auth.public_url", line("auth.public_url"), .notAPublicAddress(address))
    }
    each("auth.redirects") { URLParts($0) == nil || $0.contains("#") || $0.contains("*") ? .notAURL : nil }
    guard let oidc = root.entry("auth.oidc")?.block else {
      if string("auth.mode") == "oidc" { report("auth.oidc", line("auth.mode"), .oidcBlockMissing) }
      return
    }
    if let issuer = string("auth.oidc.issuer") {
      checkURL(issuer, "auth.oidc.issuer")
      if let url = URLParts(issuer), url.scheme != "https", url.host != "127.0.0.1", url.host != "localhost" {
        report("auth.oidc.issuer", line("auth.oidc.issuer"), .insecureIssuer)
      }
    }
    if let keys = string("auth.oidc.jwks_uri") { checkURL(keys, "auth.oidc.jwks_uri") }
    // Invalid gates count as given: their own problem is told already.
    let gates = ["allowed_subjects", "allowed_usernames", "required_role"]
    if !gates.contains(where: { oidc[$0].map { $0.origin != .default } ?? false }) {
      report("auth.oidc", line("auth.oidc"), .oidcGateMissing)
    }
  }

  /// `https://host[:port]`, or on this computer `http://…`, in lower case; a slash at the end is passed over.
  private static func isOrigin(_ text: String) -> Bool {
    guard let parts = URLParts(text), text == text.lowercased() else { return false }
    let authority = (text.hasSuffix("/") ? text.dropLast() : text[...]).dropFirst(parts.scheme.utf8.count + 3)
    guard !authority.contains(where: { "/?#@\\".contains($0) }) else { return false }
    return parts.scheme == "https" || parts.scheme == "http" && ["localhost", "127.0.0.1", "::1"].contains(parts.host)
  }

  private mutating func checkHTTP() {
    each("http.listen") { Endpoint(listening: $0) == nil ? .notAListeningPlace($0) : nil }
    for key in ["http.trusted_proxies", "http.allow_from"] {
      each(key) { AddressRange($0) == nil ? .notAnAddressRange($0) : nil }
    }
    each("http.hosts") { host in
      host.utf8.contains { !(0x21...0x7E).contains($0) || "/:@[]".utf8.contains($0) } ? .notAHostName(host) : nil
    }
    each("http.origins") { origin in
      URLParts(origin).map { "\($0.scheme)://" } != nil && origin.split(separator: "/").count == 2
        && !origin.hasSuffix("/") ? nil : .notAnOrigin(origin)
    }
    if let handle = string("http.console.handle") {
      checkHandle(handle, "http.console.handle", line("http.console.handle"))
    }
    // A door that opens to a guess is none.
    if let token = string("http.token"), token.utf8.count < 16 {
      report("http.token", line("http.token"), .shortToken(bytes: token.utf8.count))
    }
    if let token = string("http.token"), token.utf8.contains(where: { !(0x21...0x7E).contains($0) }) {
      report("http.token", line("http.token"), .controlCharacter)
    }
  }

  private mutating func checkHooks() {
    guard let hooks = root.entry("http.hooks")?.block else { return }
    for hook in hooks.entries {
      let (name, path) = (hook.setting.name, "http.hooks.\(hook.setting.name)")
      let isPlain = name.utf8.allSatisfy { byte in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || "0123456789-_".utf8.contains(byte)
      }
      guard isPlain, (1...64).contains(name.utf8.count) else {
        report(path, hook.block?.line, .notAHookName(name))
        continue
      }
      if let topic = string("\(path).topic") { checkTopic(topic, "\(path).topic", line("\(path).topic")) }
      checkHandle(string("\(path).handle") ?? name, "\(path).handle", line("\(path).handle"))
      if let secret = string("\(path).secret"), secret.utf8.count < 16 {
        report("\(path).secret", line("\(path).secret"), .shortToken(bytes: secret.utf8.count))
      }
    }
  }

  /// Reports what is wrong with each element of a list.
  private mutating func each(_ path: String, _ judge: (String) -> Finding?) {
    guard let entry = root.entry(path), case .strings(let texts) = entry.value else { return }
    for (index, text) in texts.enumerated() {
      guard let finding = judge(text) else { continue }
      let line = index < entry.elementLines.count ? entry.elementLines[index] : line(path)
      report("\(path).\(index)", line, finding)
    }
  }

  private mutating func checkURL(_ text: String, _ path: String) {
    if URLParts(text) == nil { report(path, line(path), .notAURL) }
  }

  private func string(_ path: String) -> String? {
    if case .string(let value) = root.entry(path)?.value { value } else { nil }
  }

  private func integer(_ path: String) -> Int? {
    if case .integer(let value) = root.entry(path)?.value { value } else { nil }
  }

  private func line(_ path: String) -> Int? {
    switch root.entry(path)?.origin {
    case .file(let line), .variable(let line): line
    default: root.line
    }
  }

  private mutating func report(_ path: String, _ line: Int?, _ finding: Finding) {
    problems.append(ConfigurationProblem(file: file, line: line, keyPath: path, finding))
  }

  private mutating func warn(_ path: String, _ line: Int?, _ finding: Finding) {
    warnings.append(ConfigurationProblem(file: file, line: line, keyPath: path, finding))
  }
}

/// Scheme and host of a URL with an authority (RFC 3986, section 3), as far as rules look at them.
struct URLParts {
  let scheme: String
  let host: String

  init?(_ text: String) {
    guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
    let scheme = text[..<colon].lowercased()
    guard let first = scheme.unicodeScalars.first, first.isASCII, first.properties.isAlphabetic,
      scheme.utf8.allSatisfy({ byte in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || "+-.".utf8.contains(byte)
      }),
      !text.unicodeScalars.contains(where: { $0.value <= 0x20 || $0.value == 0x7F })
    else { return nil }
    let authority = text[colon...].dropFirst(3).prefix { !"/?#\\".contains($0) }
    let server = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
    let host = server.hasPrefix("[") ? server.prefix { $0 != "]" }.dropFirst() : server.prefix { $0 != ":" }
    guard !host.isEmpty else { return nil }
    self.scheme = scheme
    self.host = host.lowercased()
  }
}
