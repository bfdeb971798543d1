import ParleyRuntime

/// The subject and the stream of one topic, folded exactly as the TypeScript Parley folds them.
///
/// What NATS forbids in a name becomes `_`, and a name that was changed gets the first ten digits of the SHA-1 of the
/// topic's own; so does one that would be longer than the server's 255 bytes, which the other cannot use at all.
struct TopicNames: Hashable, Sendable {
  /// Where its messages are published.
  let subject: String
  /// The stream that keeps them.
  let stream: String
  /// The stream as a key.
  let streamName: StreamName

  /// The longest name that the server takes for a stream, in bytes (JSMaxNameLen).
  static let longest = 255

  init(_ topic: Topic, _ options: NATSOptions) {
    subject = options.subjectPrefix + Self.safe(topic.name, alsoSlashes: false, room: 1024)
    let room = Self.longest - options.streamPrefix.utf8.count
    stream = options.streamPrefix + Self.safe(topic.name, alsoSlashes: true, room: room)
    streamName = StreamName(stream)
  }

  /// The subject's text as the stream lists it.
  private static func safe(_ name: String, alsoSlashes: Bool, room: Int) -> String {
    var folded = String.UnicodeScalarView()
    var isChanged = false
    for scalar in name.unicodeScalars {
      let isForbidden = isForbidden(scalar, alsoSlashes: alsoSlashes)
      isChanged = isChanged || isForbidden
      folded.append(isForbidden ? "_" : scalar)
    }
    if !isChanged, name.utf8.count <= room { return name }
    let mark = "-" + SHA1.hexadecimal(name, digits: 10)
    var text = String(folded)
    while text.utf8.count + mark.utf8.count > room { text.unicodeScalars.removeLast() }
    return text + mark
  }

  /// `[.*>\s]` and `[.*>/\\\s]` of JavaScript, whose white space is ECMA-262's WhiteSpace and LineTerminator.
  private static func isForbidden(_ scalar: Unicode.Scalar, alsoSlashes: Bool) -> Bool {
    switch scalar {
    case ".", "*", ">": true
    case "/", "\\": alsoSlashes
    case "\u{9}"..."\u{d}", " ", "\u{a0}", "\u{1680}", "\u{2000}"..."\u{200a}", "\u{2028}", "\u{2029}", "\u{202f}",
      "\u{205f}", "\u{3000}", "\u{feff}":
      true
    default: false
    }
  }
}

/// A stream's name as a key: byte by byte, where Swift's own equality of text is canonical equivalence.
struct StreamName: Hashable, Sendable {
  private let bytes: [UInt8]

  init(_ name: String) { bytes = Array(name.utf8) }
}
