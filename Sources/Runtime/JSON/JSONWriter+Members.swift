extension JSONWriter {
  /// Writes a name and a string, or nothing.
  package mutating func member(_ name: String, _ value: String?) {
    guard let value else { return }
    key(name)
    string(value)
  }

  /// Writes a name and an integer, or nothing.
  package mutating func member(_ name: String, _ value: Int64?) {
    guard let value else { return }
    key(name)
    int(value)
  }

  /// Writes a name and a truth value.
  package mutating func member(_ name: String, _ value: Bool) {
    key(name)
    bool(value)
  }

  /// Writes a name and an array of strings.
  package mutating func strings(_ name: String, _ values: [String]) {
    key(name)
    beginArray()
    for value in values { string(value) }
    endArray()
  }
}
