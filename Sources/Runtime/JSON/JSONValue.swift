/// A JSON value as a tree, for content whose shape the caller does not know beforehand.
///
/// A parsed tree is at most `JSONSlice.deepest` levels deep; writing and freeing one that code built recurses by its depth.
public indirect enum JSONValue: Sendable, Hashable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number written as an integer that fits 64 bits.
  case int(Int64)
  /// Every other number, as written.
  case number(JSONNumber)
  /// A string.
  case string(String)
  /// An array.
  case array([JSONValue])
  /// An object.
  case object(JSONObject)

  /// Builds the tree of a checked value; cannot fail.
  public init(_ slice: JSONSlice) {
    switch slice.kind {
    case .null: self = .null
    case .bool: self = .bool(slice.bool == true)
    case .number:
      if let int = slice.int {
        self = .int(int)
      } else {
        self = .number(JSONNumber(checked: String(decoding: slice.bytes, as: UTF8.self)))
      }
    case .string: self = .string(slice.string ?? "")
    case .array: self = .array(slice.elements.map(JSONValue.init))
    case .object: self = .object(JSONObject(slice.members.lazy.map { (name: $0.name, value: JSONValue($0.value)) }))
    }
  }

  /// Checks a text and builds its tree; see `JSONSlice.init` for what is refused.
  public init(parsing text: [UInt8], limit: Int = JSONSlice.longest) throws(JSONError) {
    self.init(try JSONSlice(text, limit: limit))
  }

  /// Checks a text and builds its tree.
  public init(parsing text: String) throws(JSONError) {
    self.init(try JSONSlice(text))
  }

  /// A member of an object, nil for any other kind of value.
  public subscript(_ name: String) -> JSONValue? { object?[name] }

  /// An element of an array, nil outside of it and for any other kind of value.
  public subscript(_ index: Int) -> JSONValue? {
    guard let array, array.indices.contains(index) else { return nil }
    return array[index]
  }

  /// Whether this is `null`.
  public var isNull: Bool {
    if case .null = self { true } else { false }
  }

  /// The value of a boolean, else nil.
  public var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The value of an integer, else nil.
  public var int: Int64? {
    if case .int(let value) = self { value } else { nil }
  }

  /// The nearest double of any number, else nil.
  public var double: Double? {
    switch self {
    case .int(let value): Double(value)
    case .number(let value): value.double
    default: nil
    }
  }

  /// The characters of a string, else nil.
  public var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  /// The elements of an array, else nil.
  public var array: [JSONValue]? {
    if case .array(let value) = self { value } else { nil }
  }

  /// The members of an object, else nil.
  public var object: JSONObject? {
    if case .object(let value) = self { value } else { nil }
  }

  /// The value as JSON on one line.
  public var text: String {
    var writer = JSONWriter()
    writer.value(self)
    return String(decoding: writer.bytes, as: UTF8.self)
  }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral {
  /// `nil` is `null`.
  public init(nilLiteral: ()) { self = .null }

  /// `true` and `false`.
  public init(booleanLiteral value: Bool) { self = .bool(value) }

  /// Integers.
  public init(integerLiteral value: Int64) { self = .int(value) }
}

extension JSONValue: ExpressibleByStringInterpolation, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
  /// Strings.
  public init(stringLiteral value: String) { self = .string(value) }

  /// Arrays.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

  /// Objects; of members with the same name, the last value stays.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(JSONObject(elements.lazy.map { (name: $0, value: $1) }))
  }
}
