import ParleyRuntime

/// Makes text from others safe inside `<channel …>…</channel>`, which is how clients show events to the model.
enum ChannelText {
  /// Content of one event, in bytes of UTF-8, before a pointer to the rest takes over.
  static let contentLimit = 8 << 10
  /// An attribute's value, in bytes of UTF-8.
  static let attributeLimit = 1 << 10

  /// Text that can neither close the channel tag nor open another, nor one that hosts speak in themselves: `<` before
  /// `channel`, `system-reminder` and their closing forms becomes `&lt;`.
  static func content(_ text: String) -> String {
    let visible = VisibleText.visible(text.hasByte(UInt8(ascii: "\r")) ? text.withUnixLineEnds : text)
    guard visible.hasByte(UInt8(ascii: "<")) else { return visible }
    let bytes = Array(visible.utf8)
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + 32)
    for index in bytes.indices {
      if bytes[index] == UInt8(ascii: "<"), namesChannel(bytes[(index + 1)...]) {
        result += Array("&lt;".utf8)
      } else {
        result.append(bytes[index])
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// Text that stays inside a quoted attribute.
  static func attribute(_ text: String) -> String {
    if text.utf8.count <= attributeLimit, isPlain(text) { return text }
    let visible = VisibleText.visible(text, keepsLines: false)
    guard
      visible.hasByte(UInt8(ascii: "\"")) || visible.hasByte(UInt8(ascii: "<")) || visible.hasByte(UInt8(ascii: ">"))
    else { return cut(visible, to: attributeLimit).map { $0 + "…" } ?? visible }
    var result = ""
    for character in visible.unicodeScalars {
      switch character {
      case "\"": result += "&quot;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      default: result.unicodeScalars.append(character)
      }
    }
    return cut(result, to: attributeLimit).map { $0 + "…" } ?? result
  }

  /// Whether it is ASCII with which nothing has to be done inside an attribute, as nearly all names and ids are.
  static func isPlain(_ text: String) -> Bool {
    let bytes = text.utf8Span.span
    for index in bytes.indices {
      switch bytes[index] {
      case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"): return false
      case 0x20..<0x7F: continue
      default: return false
      }
    }
    return true
  }

  /// The longest prefix of at most `limit` bytes that ends between characters; nil when the text is not longer.
  static func cut(_ text: String, to limit: Int) -> String? {
    guard text.utf8.count > limit else { return nil }
    var end = text.utf8.index(text.utf8.startIndex, offsetBy: limit)
    while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
    return String(text[..<end])
  }

  /// Whether what follows a `<` is, white space aside, one of those names or its closing form, in any case.
  private static func namesChannel(_ rest: ArraySlice<UInt8>) -> Bool {
    let isFiller = { (byte: UInt8) in byte <= UInt8(ascii: " ") || byte == UInt8(ascii: "/") }
    let text = rest.drop(while: isFiller)
    return ["channel", "system-reminder"].contains { name in
      text.prefix(name.utf8.count).elementsEqual(name.utf8) { $0 | 0x20 == $1 }
    }
  }
}

extension String {
  /// The text with carriage returns before a line feed left out.
  fileprivate var withUnixLineEnds: String {
    var kept = String.UnicodeScalarView()
    var held = false
    for scalar in unicodeScalars {
      if held, scalar != "\n" { kept.append("\r") }
      held = scalar == "\r"
      if !held { kept.append(scalar) }
    }
    if held { kept.append("\r") }
    return String(kept)
  }
}
