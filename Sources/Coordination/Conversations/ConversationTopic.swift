import ParleyRuntime

/// The topics of conversations. Their names say nothing of who is in them.
public enum ConversationTopic {
  private static let directPrefix = "~dm."
  private static let groupPrefix = "~group."
  private static let digits = 32

  /// The one topic of two participants, whoever of them asks. Lengths stand before the names, so that no other pair is
  /// hashed from the same text.
  public static func direct(_ a: Handle, _ b: Handle) -> Topic {
    let names = [a, b].sorted().map { "\($0.name.utf8.count):\($0.name)" }.joined()
    return Topic(directPrefix + SHA256.hexadecimal("direct\u{1f}\(names)", digits: digits))
  }

  /// The topic of a new group.
  static func group(random: (UInt64, UInt64)) -> Topic {
    Topic(groupPrefix + [random.0, random.1].map { padded(String($0, radix: 16)) }.joined())
  }

  /// The topic of the group that belongs to a caller's key, so that a retry makes no second one.
  static func group(key: String, scope: String) -> Topic {
    Topic(groupPrefix + SHA256.hexadecimal("group\u{1f}\(scope)\u{1f}\(key)", digits: digits))
  }

  private static func padded(_ text: String) -> String { String(repeating: "0", count: 16 - text.utf8.count) + text }

  /// Whether a topic is one of two participants.
  public static func isDirect(_ topic: Topic) -> Bool { has(directPrefix, topic) }

  /// Whether a topic can be a conversation's.
  public static func isConversation(_ topic: Topic) -> Bool { isDirect(topic) || has(groupPrefix, topic) }

  private static func has(_ prefix: String, _ topic: Topic) -> Bool {
    guard topic.name.hasPrefix(prefix) else { return false }
    let rest = topic.name.utf8.dropFirst(prefix.utf8.count)
    return rest.count == digits && TaskReference.isHexadecimal(String(topic.name.suffix(digits)))
  }
}
