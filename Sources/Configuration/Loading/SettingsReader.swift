import ParleyRuntime

/// Reads the tree of a file against a schema: values, defaults, and everything that does not fit.
struct SettingsReader {
  /// A secret that stands in a file in plain text.
  struct LiteralSecret {
    let keyPath: String
    let line: Int
    /// It stands in the `.env` file.
    let inEnvironmentFile: Bool
  }

  let file: String
  /// The directory that relative `*_file` paths start at: the configuration's own.
  let directory: String
  let variables: Variables
  private(set) var problems: [ConfigurationProblem] = []
  /// Unknown keys, which `strict: false` forgives.
  private(set) var unknownKeys: [ConfigurationProblem] = []
  private(set) var literalSecrets: [LiteralSecret] = []
  /// Files that `*_file` keys name.
  private(set) var secretFiles: [(path: String, keyPath: String, line: Int)] = []

  init(file: String, directory: String, variables: Variables) {
    self.file = file
    self.directory = directory
    self.variables = variables
  }

  /// The largest secret file, in bytes.
  static let secretLimit = 64 * 1024

  /// Reads a block; `node` is nil where the file has none. `line` is the one that misses it then.
  ///
  /// `reportsMissing` is false inside a block that is none, where everything would be missing.
  mutating func block(
    _ schema: SettingsSchema, _ node: YAMLNode?, path: String, line: Int, reportsMissing: Bool = true
  ) -> ResolvedBlock {
    var entries: [YAMLNode.Entry] = []
    if let node {
      if case .mapping(let found) = node.value {
        entries = found
      } else {
        report(node, path, .wrongType(expected: "a block of keys", found: describe(node)))
      }
    }
    let line = node?.mark.line ?? line
    let names = schema.settings.flatMap { [$0.name] + ($0.fileKey.map { [$0] } ?? []) }
    for entry in entries where !names.contains(entry.key) {
      unknownKeys.append(
        ConfigurationProblem(
          file: file, line: entry.mark.line, keyPath: join(path, entry.key), .unknownKey(among: names)))
    }
    let isUsable = node.map { if case .mapping = $0.value { true } else { false } } ?? true
    let resolved = schema.settings.map { setting in
      self.entry(setting, in: entries, path: path, line: line, reportsMissing: isUsable && reportsMissing)
    }
    return ResolvedBlock(entries: resolved, line: line)
  }

  private mutating func entry(
    _ setting: Setting, in entries: [YAMLNode.Entry], path: String, line: Int, reportsMissing: Bool
  ) -> ResolvedBlock.Entry {
    let path = join(path, setting.name)
    let found = entries.first { $0.key == setting.name }
    if case .blocks(let inner) = setting.kind { return blocks(setting, inner, found, path: path) }
    if case .block(let inner) = setting.kind {
      guard found != nil || !setting.isOptional else {
        return ResolvedBlock.Entry(setting: setting, value: nil, origin: .default)
      }
      let block = block(
        inner, found?.value, path: path, line: found?.mark.line ?? line, reportsMissing: reportsMissing)
      let origin = found.map { ResolvedBlock.Origin.file(line: $0.mark.line) } ?? .default
      return ResolvedBlock.Entry(setting: setting, value: nil, block: block, origin: origin)
    }
    if let fileKey = setting.fileKey, let named = entries.first(where: { $0.key == fileKey }) {
      if let found { report(found.value, path, .secretGivenTwice(fileKey: fileKey)) }
      return secret(setting, named, path: join(Self.parent(path), fileKey))
    }
    guard let found else {
      if setting.isRequired, reportsMissing {
        problems.append(ConfigurationProblem(file: file, line: line, keyPath: path, .missing))
      }
      return ResolvedBlock.Entry(setting: setting, value: setting.defaultValue, origin: .default)
    }
    return value(setting, found.value, path: path)
  }

  /// Each name of the file is a block of the same keys.
  private mutating func blocks(
    _ setting: Setting, _ inner: SettingsSchema, _ found: YAMLNode.Entry?, path: String
  ) -> ResolvedBlock.Entry {
    guard let found else { return ResolvedBlock.Entry(setting: setting, value: nil, origin: .default) }
    var names: [String] = []
    if case .mapping(let entries) = found.value.value { names = entries.map(\.key) }
    let schema = SettingsSchema(names.map { Setting($0, .block(inner), setting.documentation) })
    let block = block(schema, found.value, path: path, line: found.mark.line)
    return ResolvedBlock.Entry(setting: setting, value: nil, block: block, origin: .file(line: found.mark.line))
  }

  private mutating func value(_ setting: Setting, _ node: YAMLNode, path: String) -> ResolvedBlock.Entry {
    var entry = ResolvedBlock.Entry(setting: setting, value: nil, origin: .file(line: node.mark.line))
    switch setting.kind {
    case .oneOrMoreStrings:
      guard case .sequence = node.value else {
        let text = string(node, path: path, expected: "a string or a list of strings", minimumBytes: 1)
        scalar(node, &entry, text)
        if case .string(let one)? = entry.value { entry.value = .strings([one]) }
        return entry
      }
      return value(Setting(setting.name, .strings(minimumCount: 1), setting.documentation), node, path: path)
    case .strings(let minimumCount):
      guard case .sequence(let items) = node.value else {
        report(node, path, .wrongType(expected: "a list of strings", found: describe(node)))
        return entry
      }
      if items.count < minimumCount {
        report(node, path, .tooFew(count: items.count, minimum: minimumCount))
        return entry
      }
      let texts = items.enumerated().map { index, item in
        string(item, path: join(path, String(index)), expected: "a string", minimumBytes: 1)
      }
      let valid = texts.compactMap { $0?.text }
      if valid.count == items.count { entry.value = .strings(valid) }
      if texts.contains(where: { $0?.isExpanded == true }) { entry.origin = .variable(line: node.mark.line) }
      entry.elementLines = items.map(\.mark.line)
    case .texts:
      guard case .mapping(let items) = node.value else {
        report(node, path, .wrongType(expected: "a block of names and texts", found: describe(node)))
        return entry
      }
      let texts = items.map { item in
        (item.key, string(item.value, path: join(path, item.key), expected: "a string", minimumBytes: 1))
      }
      let valid = texts.compactMap { name, text in text.map { (name, $0.text) } }
      if valid.count == items.count { entry.value = .texts(Dictionary(valid) { _, last in last }) }
      if texts.contains(where: { $0.1?.isExpanded == true }) { entry.origin = .variable(line: node.mark.line) }
    case .foreign, .block, .blocks:
      guard case .mapping = node.value else {
        report(node, path, .wrongType(expected: "a block of keys", found: describe(node)))
        return entry
      }
    case .string(let minimumBytes):
      scalar(node, &entry, string(node, path: path, expected: "a string", minimumBytes: minimumBytes))
    case .path:
      scalar(node, &entry, string(node, path: path, expected: "a path", minimumBytes: 1))
    case .secret:
      let text = string(node, path: path, expected: "a string", minimumBytes: 1)
      scalar(node, &entry, text)
      if let text, !text.isExpanded || text.usedDefault || text.usedEnvironmentFile {
        let inEnvironmentFile = text.usedEnvironmentFile
        literalSecrets.append(
          LiteralSecret(keyPath: path, line: node.mark.line, inEnvironmentFile: inEnvironmentFile))
      }
    case .choice(let choices):
      let text = string(node, path: path, expected: "one of \(choices.joined(separator: ", "))", minimumBytes: 0)
      if let text, !choices.contains(text.text) {
        report(node, path, .notAChoice(value: text.text, among: choices))
      } else {
        scalar(node, &entry, text)
      }
    case .boolean, .integer, .number:
      if let (value, isExpanded) = plain(setting.kind, node, path: path) {
        entry.value = value
        if isExpanded { entry.origin = .variable(line: node.mark.line) }
      }
    }
    return entry
  }

  private func scalar(_ node: YAMLNode, _ entry: inout ResolvedBlock.Entry, _ text: Variables.Expansion?) {
    guard let text else { return }
    entry.value = .string(text.text)
    if text.isExpanded { entry.origin = .variable(line: node.mark.line) }
  }

  /// Text with its variables replaced; a plain number or `true` is no text unless it came from a variable.
  private mutating func string(
    _ node: YAMLNode, path: String, expected: String, minimumBytes: Int
  ) -> Variables.Expansion? {
    guard let text = expand(node, path: path, expected: expected) else { return nil }
    if !text.isExpanded, case .scalar(_, isPlain: true) = node.value {
      guard case .string = YAMLScalar(plain: text.text) else {
        report(node, path, .wrongType(expected: expected, found: describe(node)))
        return nil
      }
    }
    if text.text.utf8.count < minimumBytes {
      report(node, path, .empty)
      return nil
    }
    return text
  }

  /// A number or truth value; one in quotes is text, unless it came from a variable.
  private mutating func plain(
    _ kind: Setting.Kind, _ node: YAMLNode, path: String
  ) -> (SettingValue, isExpanded: Bool)? {
    let expected =
      switch kind {
      case .boolean: "true or false"
      case .integer: "a whole number"
      default: "a number"
      }
    guard let text = expand(node, path: path, expected: expected) else { return nil }
    guard case .scalar(_, let isPlain) = node.value, isPlain || text.isExpanded else {
      report(node, path, .wrongType(expected: expected, found: describe(node)))
      return nil
    }
    switch (kind, YAMLScalar(plain: text.text)) {
    case (.boolean, .boolean(let value)): return (.boolean(value), text.isExpanded)
    case (.integer(let range), .integer(let value)):
      if range.contains(value) { return (.integer(value), text.isExpanded) }
      report(node, path, .outOfRange(value: text.text, allowed: Self.describe(range)))
    case (.integer(let range), .number(let value)):
      // 1e3 and 2.0 are whole numbers in JSON.
      if let whole = Int(exactly: value), range.contains(whole) { return (.integer(whole), text.isExpanded) }
      if value.rounded() == value {
        report(node, path, .outOfRange(value: text.text, allowed: Self.describe(range)))
      } else {
        report(node, path, .wrongType(expected: expected, found: "a number with a fraction"))
      }
    case (.number(let range), .integer(let value)) where range.contains(Double(value)):
      return (.number(Double(value)), text.isExpanded)
    case (.number(let range), .number(let value)) where range.contains(value):
      return (.number(value), text.isExpanded)
    case (.number(let range), .integer), (.number(let range), .number):
      report(node, path, .outOfRange(value: text.text, allowed: Self.describe(range)))
    case (_, let other):
      report(node, path, .wrongType(expected: expected, found: Self.describe(other)))
    }
    return nil
  }

  private mutating func expand(_ node: YAMLNode, path: String, expected: String) -> Variables.Expansion? {
    guard case .scalar(let text, _) = node.value else {
      report(node, path, .wrongType(expected: expected, found: describe(node)))
      return nil
    }
    let expansion = variables.expand(text)
    for finding in expansion.findings { report(node, path, finding) }
    return expansion.findings.isEmpty ? expansion : nil
  }

  /// The secret that a `*_file` key names; one newline at its end is the editor's, not the secret's.
  private mutating func secret(_ setting: Setting, _ entry: YAMLNode.Entry, path: String) -> ResolvedBlock.Entry {
    var result = ResolvedBlock.Entry(setting: setting, value: nil, origin: .default)
    guard let named = string(entry.value, path: path, expected: "a path", minimumBytes: 1) else { return result }
    let file = Path.join(directory, named.text)
    result.origin = .secretFile(named.text)
    do throws(SystemError) {
      var bytes = try FileSystem.read(file, limit: Self.secretLimit)
      if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
      if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
      let reason: String? =
        if bytes.count > Self.secretLimit { "larger than \(Self.secretLimit) bytes" } else if bytes.isEmpty {
          "it is empty"
        } else { nil }
      guard let text = String(validating: bytes, as: UTF8.self), reason == nil else {
        report(entry.value, path, .unreadableSecret(path: named.text, reason: reason ?? "it is not UTF-8"))
        return result
      }
      result.value = .string(text)
      secretFiles.append((path: file, keyPath: path, line: entry.mark.line))
    } catch {
      report(entry.value, path, .unreadableSecret(path: named.text, reason: error.description))
    }
    return result
  }

  private mutating func report(_ node: YAMLNode, _ path: String, _ finding: Finding) {
    problems.append(ConfigurationProblem(file: file, line: node.mark.line, keyPath: path, finding))
  }

  private func join(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
  private static func parent(_ path: String) -> String {
    path.lastIndex(of: ".").map { String(path[..<$0]) } ?? ""
  }

  private func describe(_ node: YAMLNode) -> String {
    switch node.value {
    case .sequence: "a list"
    case .mapping: "a block of keys"
    case .scalar(_, isPlain: false): "a string"
    case .scalar(let text, isPlain: true): Self.describe(YAMLScalar(plain: text))
    }
  }

  private static func describe(_ scalar: YAMLScalar) -> String {
    switch scalar {
    case .null: "null"
    case .boolean(let value): "\(value)"
    case .integer, .number: "a number"
    case .string: "a string"
    }
  }

  private static func describe(_ range: ClosedRange<Int>) -> String {
    range.upperBound == .max ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
  }

  private static func describe(_ range: ClosedRange<Double>) -> String {
    range.upperBound == .infinity ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
  }
}
