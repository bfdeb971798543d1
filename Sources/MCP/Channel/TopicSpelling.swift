import ParleyRuntime

/// A topic's name as channel events carry it: inside an attribute, and so that a reader can pass it back to a tool.
///
/// What could end the attribute or cannot be seen is written by its code point, `⟦U+0022⟧`, and so is `⟦` itself: every
/// name has one spelling, and no two have the same.
enum TopicSpelling {
  private static let open: Unicode.Scalar = "⟦"
  private static let close: Unicode.Scalar = "⟧"

  /// How events spell a topic.
  static func spelling(of topic: Topic) -> String {
    guard !ChannelText.isPlain(topic.name), topic.name.unicodeScalars.contains(where: isMarked) else {
      return topic.name
    }
    var text = ""
    for scalar in topic.name.unicodeScalars {
      if isMarked(scalar) { text += VisibleText.codePoint(scalar) } else { text.unicodeScalars.append(scalar) }
    }
    return text
  }

  /// The topic that a caller means who may have copied its name from an event.
  ///
  /// Throws `badArgument` where the text is one configured topic's name and another's spelling.
  static func topic(meantBy text: String, in hub: Hub) throws(HubError) -> Topic {
    let literal = Topic(text)
    guard text.unicodeScalars.contains(open) else { return literal }
    let spelled = Topic(name(spelledAs: text))
    let topics = hub.setup.topics
    guard spelled != literal, topics.contains(spelled) else { return literal }
    guard !topics.contains(literal) else {
      throw .badArgument(
        name: "topic",
        reason: "is the name of one topic and how events spell another: write \(spelling(of: literal)) for the first")
    }
    return spelled
  }

  private static func isMarked(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\"", "<", ">", open: true
    default: VisibleText.isHidden(scalar, keepsLines: false)
    }
  }

  private static func name(spelledAs text: String) -> String {
    var rest = Array(text.unicodeScalars)[...]
    var name = String.UnicodeScalarView()
    while let scalar = rest.popFirst() {
      // `U+` and at most six digits stand between the marks.
      if scalar == open, let end = rest.prefix(9).firstIndex(of: close), let found = scalarNamed(rest[..<end]) {
        name.append(found)
        rest = rest[(end + 1)...]
      } else {
        name.append(scalar)
      }
    }
    return String(name)
  }

  private static func scalarNamed(_ text: ArraySlice<Unicode.Scalar>) -> Unicode.Scalar? {
    guard text.starts(with: ["U", "+"]) else { return nil }
    let digits = String(String.UnicodeScalarView(text.dropFirst(2)))
    guard digits.utf8.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else { return nil }
    return UInt32(digits, radix: 16).flatMap(Unicode.Scalar.init)
  }
}
