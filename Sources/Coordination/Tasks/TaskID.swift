import ParleyRuntime

/// The name of a task: lower-case hexadecimal digits, chosen by its poster; people use the first few of them.
public struct TaskID: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Digits of a whole id, and the fewest that may stand for it.
  static let length = 16
  static let shortest = 4

  /// The digits.
  public let text: String

  /// A whole id; nil for anything else.
  public init?(_ text: String) {
    guard text.utf8.count == Self.length, TaskReference.isHexadecimal(text) else { return nil }
    self.text = text
  }

  /// A random one.
  init(random: UInt64) {
    let digits = String(random, radix: 16)
    text = String(repeating: "0", count: Self.length - digits.count) + digits
  }

  /// The one that belongs to a caller's key, so that a retry names the same task.
  init(key: String, scope: String, topic: Topic) {
    text = SHA256.hexadecimal("task\u{1f}\(scope)\u{1f}\(topic.name)\u{1f}\(key)", digits: Self.length)
  }

  /// What people call the task, unless another one begins so.
  var label: String { text.prefix(bytes: Self.shortest) }

  public var description: String { text }

  public static func < (a: TaskID, b: TaskID) -> Bool { a.text < b.text }
}

/// How somebody names a task: its id, or the beginning of it.
public struct TaskReference: Hashable, Sendable, CustomStringConvertible {
  /// 4 to 16 digits.
  public let text: String

  /// Upper-case digits count too; nil for what can be no beginning of an id.
  public init?(_ text: String) {
    let text = text.lowercased()
    guard (TaskID.shortest...TaskID.length).contains(text.utf8.count), Self.isHexadecimal(text) else { return nil }
    self.text = text
  }

  public var description: String { text }

  static func isHexadecimal(_ text: String) -> Bool {
    let bytes = text.utf8Span.span
    return bytes.indices.allSatisfy { index in
      switch bytes[index] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
      default: false
      }
    }
  }
}
