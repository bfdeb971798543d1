import ParleyRuntime

/// A block as it was read: every key of its schema with its value and where that came from.
struct ResolvedBlock: Sendable {
  /// Where a value came from.
  enum Origin: Hashable, Sendable {
    case `default`
    case file(line: Int)
    /// The file names variables that were replaced.
    case variable(line: Int)
    case secretFile(String)
    /// Computed from other keys, or from the folder.
    case derived(String)
  }

  /// One key.
  struct Entry: Sendable {
    let setting: Setting
    var value: SettingValue?
    var block: ResolvedBlock?
    var origin: Origin
    /// The lines of a list's elements.
    var elementLines: [Int] = []
  }

  var entries: [Entry]
  /// The line that messages about what is missing point to.
  let line: Int?

  subscript(name: String) -> Entry? {
    get { entries.first { $0.setting.name == name } }
    set {
      if let newValue, let index = entries.firstIndex(where: { $0.setting.name == name }) { entries[index] = newValue }
    }
  }

  /// The entry at a path, for example `presence.ttl_ms`.
  func entry(_ path: String) -> Entry? {
    let (head, tail) = Self.split(path)
    guard let entry = self[head] else { return nil }
    return tail.isEmpty ? entry : entry.block?.entry(tail)
  }

  /// Gives a key that was left out its computed value.
  mutating func derive(_ path: String, _ value: SettingValue, from reason: String) {
    let (head, tail) = Self.split(path)
    guard var entry = self[head] else { return }
    if tail.isEmpty {
      entry.value = value
      entry.origin = .derived(reason)
    } else {
      entry.block?.derive(tail, value, from: reason)
    }
    self[head] = entry
  }

  /// Replaces a value by one that means the same.
  mutating func set(_ path: String, _ value: SettingValue) {
    let (head, tail) = Self.split(path)
    guard var entry = self[head] else { return }
    if tail.isEmpty { entry.value = value } else { entry.block?.set(tail, value) }
    self[head] = entry
  }

  /// The values alone.
  var settings: Settings {
    var result = Settings()
    for entry in entries {
      result[entry.setting.name] = entry.block.map { .block($0.settings) } ?? entry.value
    }
    return result
  }

  private static func split(_ path: String) -> (head: String, tail: String) {
    let parts = path.split(separator: ".", maxSplits: 1)
    return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
  }
}
