import ParleyRuntime

/// A JSON-RPC request's id: a string or an integer, echoed byte for byte (JSON-RPC 2.0 section 4; MCP forbids null).
package struct RequestID: Hashable, Sendable {
  /// As received, for echoing.
  package let slice: JSONSlice
  private let key: Key

  private enum Key {
    case integer(Int64)
    /// The digits of an integer past 64 bits.
    case digits(String)
    case text(String)
  }

  /// Nil for anything but a string or an integer.
  package init?(_ slice: JSONSlice) {
    switch slice.kind {
    case .string:
      guard let text = slice.string else { return nil }
      key = .text(text)
    case .number:
      if let integer = slice.int {
        key = .integer(integer)
      } else {
        guard slice.bytes.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-") }) else { return nil }
        key = .digits(String(decoding: slice.bytes, as: UTF8.self))
      }
    default: return nil
    }
    self.slice = slice
  }

  package static func == (a: RequestID, b: RequestID) -> Bool {
    switch (a.key, b.key) {
    case (.integer(let a), .integer(let b)): a == b
    case (.digits(let a), .digits(let b)), (.text(let a), .text(let b)): a.isExactly(b)
    default: false
    }
  }

  package func hash(into hasher: inout Hasher) {
    switch key {
    case .integer(let value): hasher.combine(value)
    case .digits(let text), .text(let text): hasher.combine(text)
    }
  }
}
