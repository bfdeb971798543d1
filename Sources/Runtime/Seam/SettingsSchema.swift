/// The keys that one block of `parley.config.yaml` may hold; a backend exports the one of its `backend_config`.
///
/// Reading a file against it, and every error text, is ParleyConfiguration's; `Settings` holds what came of it.
public struct SettingsSchema: Sendable {
  /// The keys, in the order in which documentation and `config show` list them.
  public let settings: [Setting]

  /// Makes a schema. Names are unique, and none is another's with `_file` appended where that one is a secret.
  public init(_ settings: [Setting]) { self.settings = settings }

  /// The setting of that name.
  public subscript(name: String) -> Setting? { settings.first { $0.name == name } }
}

/// One key: its name, what it may hold, what it holds when it is absent, and a sentence for people.
public struct Setting: Sendable {
  /// What a key may hold.
  public indirect enum Kind: Sendable {
    /// Text of at least so many UTF-8 bytes.
    case string(minimumBytes: Int)
    /// A whole number.
    case integer(ClosedRange<Int>)
    /// A number, whole or not.
    case number(ClosedRange<Double>)
    /// `true` or `false`.
    case boolean
    /// One of these words.
    case choice([String])
    /// A list of at least so many texts, none of them empty.
    case strings(minimumCount: Int)
    /// A text, or a list of at least one, none of them empty; a list either way.
    case oneOrMoreStrings
    /// A block of texts under names that the writer chooses, none of them empty.
    case texts
    /// The path of a file; a relative one starts at the process's working directory.
    case path
    /// Text that is never shown. `<name>_file` may name a file that holds it instead.
    case secret
    /// A block of keys.
    case block(SettingsSchema)
    /// A block of blocks under names that the writer chooses.
    case blocks(SettingsSchema)
    /// A block whose keys another schema knows (`backend_config`).
    case foreign
  }

  /// The key as it is written in the file.
  public let name: String
  /// What it may hold.
  public let kind: Kind
  /// What it holds when it is absent; nil where nothing is a value too.
  public let defaultValue: SettingValue?
  /// Its absence is an error.
  public let isRequired: Bool
  /// Where it is a block: without it in the file there is none, rather than one of defaults.
  public let isOptional: Bool
  /// One line for people.
  public let documentation: String

  /// Makes a setting. A default must be of the kind.
  public init(
    _ name: String, _ kind: Kind, default defaultValue: SettingValue? = nil, required: Bool = false,
    optional: Bool = false, _ documentation: String
  ) {
    self.name = name
    self.kind = kind
    self.defaultValue = defaultValue
    isRequired = required
    isOptional = optional
    self.documentation = documentation
  }

  /// Where the kind is a secret: the key that may name a file holding it.
  public var fileKey: String? {
    if case .secret = kind { name + "_file" } else { nil }
  }
}

/// What a key holds.
public enum SettingValue: Hashable, Sendable {
  case string(String)
  case integer(Int)
  case number(Double)
  case boolean(Bool)
  case strings([String])
  case texts([String: String])
  case block(Settings)
}

/// The validated values of one block: of the kinds its schema names, defaults filled in.
///
/// The plain accessors are for keys that have a default or are required; asking them for another is a programming
/// error and traps. Those ending in `IfSet` answer nil for a key that was left out.
public struct Settings: Hashable, Sendable {
  private var values: [String: SettingValue]

  /// Holds values that were validated against a schema.
  public init(_ values: [String: SettingValue] = [:]) { self.values = values }

  /// What a schema gives when nothing is written.
  public init(defaultsOf schema: SettingsSchema) {
    values = [:]
    for setting in schema.settings {
      switch setting.kind {
      case .block(let inner) where !setting.isOptional: values[setting.name] = .block(Settings(defaultsOf: inner))
      case .foreign, .blocks: values[setting.name] = .block(Settings())
      default: values[setting.name] = setting.defaultValue
      }
    }
  }

  /// The value of a key, whatever its kind.
  public subscript(name: String) -> SettingValue? {
    get { values[name] }
    set { values[name] = newValue }
  }

  /// Text: a string, a choice, a path or a secret.
  public func string(_ name: String) -> String { present(stringIfSet(name), name) }
  /// Text, or nil when the key was left out.
  public func stringIfSet(_ name: String) -> String? {
    if case .string(let value) = values[name] { value } else { nil }
  }
  /// A whole number.
  public func integer(_ name: String) -> Int { present(integerIfSet(name), name) }
  /// A whole number, or nil when the key was left out.
  public func integerIfSet(_ name: String) -> Int? {
    if case .integer(let value) = values[name] { value } else { nil }
  }
  /// A number.
  public func number(_ name: String) -> Double { present(numberIfSet(name), name) }
  /// A number, or nil when the key was left out.
  public func numberIfSet(_ name: String) -> Double? {
    if case .number(let value) = values[name] { value } else { nil }
  }
  /// A truth value.
  public func boolean(_ name: String) -> Bool {
    guard case .boolean(let value) = values[name] else { return present(nil, name) }
    return value
  }
  /// A list of texts.
  public func strings(_ name: String) -> [String] { present(stringsIfSet(name), name) }
  /// A list of texts, or nil when the key was left out.
  public func stringsIfSet(_ name: String) -> [String]? {
    if case .strings(let value) = values[name] { value } else { nil }
  }
  /// Texts by name; none when the key was left out.
  public func texts(_ name: String) -> [String: String] {
    if case .texts(let value) = values[name] { value } else { [:] }
  }
  /// A block.
  public func block(_ name: String) -> Settings { present(blockIfSet(name), name) }
  /// Blocks by name; none when the key was left out.
  public func blocks(_ name: String) -> [String: Settings] {
    (blockIfSet(name)?.values ?? [:]).compactMapValues { if case .block(let settings) = $0 { settings } else { nil } }
  }
  /// A block, or nil when it was left out and is optional.
  public func blockIfSet(_ name: String) -> Settings? {
    if case .block(let value) = values[name] { value } else { nil }
  }

  private func present<Value>(_ value: Value?, _ name: String) -> Value {
    guard let value else { preconditionFailure("no value of that kind for setting \(name)") }
    return value
  }
}
