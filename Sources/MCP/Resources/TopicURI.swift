import ParleyRuntime

/// The addresses of topics and their task boards as resources: `parley://topic/{name}` and `parley://tasks/{name}`, the
/// name percent-encoded (RFC 3986 section 2.1).
enum TopicURI {
  private static let prefix = "parley://topic/"
  private static let boardPrefix = "parley://tasks/"

  /// The address of a topic; every byte but the unreserved ones is encoded, so there is one form that we write.
  static func text(_ topic: Topic) -> String { text(prefix, topic) }

  /// The address of a topic's task board.
  static func board(_ topic: Topic) -> String { text(boardPrefix, topic) }

  private static func text(_ prefix: String, _ topic: Topic) -> String {
    var bytes = Array(prefix.utf8)
    for byte in topic.name.utf8 {
      if isUnreserved(byte) {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digit(byte >> 4), digit(byte & 0xF)]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The topic of an address, however much of its name is encoded; nil for anything else.
  static func topic(_ uri: String) -> Topic? { topic(uri, behind: prefix) }

  /// The topic of a task board's address; nil for anything else.
  static func boardTopic(_ uri: String) -> Topic? { topic(uri, behind: boardPrefix) }

  private static func topic(_ uri: String, behind prefix: String) -> Topic? {
    guard uri.hasPrefix(prefix) else { return nil }
    var name: [UInt8] = []
    var rest = uri.utf8.dropFirst(prefix.utf8.count)
    while let byte = rest.popFirst() {
      // A query or a fragment is part of no address of ours.
      guard byte != UInt8(ascii: "?"), byte != UInt8(ascii: "#") else { return nil }
      guard byte == UInt8(ascii: "%") else {
        name.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(value), let low = rest.popFirst().flatMap(value) else { return nil }
      name.append(high << 4 | low)
    }
    guard !name.isEmpty, let text = String(validating: name, as: UTF8.self) else { return nil }
    return Topic(text)
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
      UInt8(ascii: "~"):
      true
    default: false
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : UInt8(ascii: "A") + value - 10 }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}
