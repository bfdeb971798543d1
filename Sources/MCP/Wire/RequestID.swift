import ParleyRuntime

/// A JSON-RPC request's id: a string or an integer, echoed byte for byte (JSON-RPC 2.0 section 4; MCP forbids null).
struct RequestID: Hashable, Sendable {
  /// As received, for echoing.
  let slice: JSONSlice
  /// Equal for equal ids: an integer's digits, or a quote and a string's characters.
  private let key: String

  /// Nil for anything but a string or an integer.
  init?(_ slice: JSONSlice) {
    switch slice.kind {
    case .string:
      guard let text = slice.string else { return nil }
      key = "\"" + text
    case .number:
      guard slice.bytes.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-") }) else { return nil }
      key = String(decoding: slice.bytes, as: UTF8.self)
    default: return nil
    }
    self.slice = slice
  }

  static func == (a: RequestID, b: RequestID) -> Bool { a.key.isExactly(b.key) }

  func hash(into hasher: inout Hasher) { hasher.combine(key) }
}
