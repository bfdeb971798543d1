extension Attributes {
  /// An object of strings, in the order of the names: equal attributes are equal text.
  package var json: String {
    var writer = JSONWriter(capacity: 128)
    writer.attributes(self)
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  /// Those of an object of strings; none where the text is anything else (another program's doing).
  package init(json text: String) { self = (try? JSONSlice(text))?.attributes ?? [:] }
}

extension JSONSlice {
  /// The attributes that an object of strings says; nil for anything else.
  public var attributes: Attributes? {
    guard kind == .object else { return nil }
    var list: [Attributes.Element] = []
    for member in members {
      guard let text = member.value.string else { return nil }
      list.append((member.name, text))
    }
    return Attributes(list)
  }
}

extension JSONWriter {
  /// Writes attributes as an object.
  public mutating func attributes(_ attributes: Attributes) {
    beginObject()
    for (name, value) in attributes { member(name, value) }
    endObject()
  }
}
