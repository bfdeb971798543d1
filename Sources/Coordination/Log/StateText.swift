import ParleyRuntime

/// The content of a checkpoint: one JSON object, read as data.
enum StateText {
  /// Writes an object.
  static func write(_ body: (inout JSONWriter) -> Void) -> String {
    var writer = JSONWriter(capacity: 256)
    writer.beginObject()
    body(&writer)
    writer.endObject()
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  /// Reads an object; `malformed` for anything else.
  static func read(_ text: String) throws(EventRefusal) -> JSONSlice {
    let value: JSONSlice
    do throws(JSONError) { value = try JSONSlice(text) } catch { throw .malformed }
    guard value.kind == .object else { throw .malformed }
    return value
  }
}

extension JSONSlice {
  /// A member that must be a string that is not empty.
  func text(_ name: String) throws(EventRefusal) -> String {
    guard let text = member(name)?.string, !text.isEmpty else { throw .malformed }
    return text
  }

  /// A member that must be an integer of at least 0.
  func count(_ name: String) throws(EventRefusal) -> Int64 {
    guard let number = member(name)?.int, number >= 0 else { throw .malformed }
    return number
  }

  /// The objects of a member that must be an array of them.
  func objects(_ name: String) throws(EventRefusal) -> [JSONSlice] {
    guard let list = member(name), list.kind == .array else { throw .malformed }
    let objects = Array(list.elements)
    guard objects.allSatisfy({ $0.kind == .object }) else { throw .malformed }
    return objects
  }
}

extension JSONWriter {
  /// Writes a member that is a string.
  mutating func text(_ name: String, _ value: String) {
    key(name)
    string(value)
  }
}
