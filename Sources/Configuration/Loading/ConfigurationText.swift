import ParleyRuntime

/// The effective configuration as YAML, each value with a comment that says where it came from.
struct ConfigurationText {
  private(set) var text = ""

  init(_ root: ResolvedBlock, path: String?) {
    text = "# \(path ?? "no configuration file: defaults for this project")\n"
    append(root, indent: "")
  }

  private mutating func append(_ block: ResolvedBlock, indent: String) {
    for entry in block.entries {
      let name = entry.setting.name
      if let inner = entry.block {
        let hasValues = inner.entries.contains { $0.value != nil || $0.block != nil }
        text += "\(indent)\(name):\(hasValues ? "" : " {}")\n"
        append(inner, indent: indent + "  ")
        continue
      }
      guard let value = entry.value else { continue }
      text += "\(indent)\(name): \(render(value, entry.setting))  # \(describe(entry.origin))\n"
    }
  }

  private func render(_ value: SettingValue, _ setting: Setting) -> String {
    if case .secret = setting.kind { return "\"<redacted>\"" }
    switch value {
    case .string(let text): return scalar(text)
    case .integer(let number): return "\(number)"
    case .number(let number): return "\(number)"
    case .boolean(let value): return "\(value)"
    case .strings(let items): return "[" + items.map(scalar).joined(separator: ", ") + "]"
    case .texts(let items):
      return "{"
        + items.sorted { $0.key < $1.key }.map { quoted($0.key) + ": " + scalar($0.value) }.joined(separator: ", ")
        + "}"
    case .block: return "{}"
    }
  }

  /// Plain where it cannot be misread, else in quotes, with the dollar signs that a file needs; passwords in URLs go.
  private func scalar(_ text: String) -> String {
    let shown = Self.withoutPassword(text).replacing("$", with: "$$")
    let isPlain = shown.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || "0123456789_./-".utf8.contains(byte)
    }
    if isPlain, shown.utf8.first != UInt8(ascii: "-"), YAMLScalar(plain: shown) == .string(shown) { return shown }
    return quoted(shown)
  }

  /// `redis://user:secret@host` without the secret.
  static func withoutPassword(_ text: String) -> String {
    guard let start = text.firstRange(of: "://")?.upperBound else { return text }
    if let query = text[start...].firstIndex(of: "?") {
      // What stands in a query is a secret as often as not.
      return withoutPassword(String(text[..<query])) + "?<redacted>"
    }
    let authority = text[start...].prefix { !"/?#".contains($0) }
    guard let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") else { return text }
    return text[...colon] + "<redacted>" + text[at...]
  }

  private func describe(_ origin: ResolvedBlock.Origin) -> String {
    switch origin {
    case .default: "default"
    case .file(let line): "line \(line)"
    case .variable(let line): "line \(line), from the environment"
    case .secretFile(let path): "from the file \(quoted(path))"
    case .derived(let reason): reason
    }
  }
}
