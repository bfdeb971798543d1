import ParleyRuntime

/// The name of a task: 16 lower-case hexadecimal digits, chosen by its poster; people use the first few of them.
public struct TaskID: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Digits of a whole id, and the fewest that may stand for it.
  static let length = 16
  static let shortest = 4

  private let number: UInt64

  /// A whole id; nil for anything else.
  public init?(_ text: String) {
    let bytes = text.utf8Span.span
    guard bytes.count == Self.length else { return nil }
    var number: UInt64 = 0
    for index in bytes.indices {
      switch bytes[index] {
      case let digit where (0x30...0x39).contains(digit): number = number << 4 | UInt64(digit - 0x30)
      case let digit where (0x61...0x66).contains(digit): number = number << 4 | UInt64(digit - 0x57)
      default: return nil
      }
    }
    self.number = number
  }

  /// A random one.
  init(random: UInt64) { number = random }

  /// The one that belongs to a caller's key, so that a retry names the same task.
  init(key: String, scope: String, topic: Topic) {
    let digest = SHA256.hash("task\u{1f}\(scope)\u{1f}\(topic.name)\u{1f}\(key)".utf8)
    number = digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The digits.
  public var text: String { digits(Self.length) }

  /// What people call the task, unless another one begins so.
  var label: String { digits(Self.shortest) }

  /// Whether people would call both the same.
  func isCalled(like other: TaskID) -> Bool { (number ^ other.number) >> UInt64(64 - 4 * Self.shortest) == 0 }

  private func digits(_ count: Int) -> String {
    unsafe String(unsafeUninitializedCapacity: count) { buffer in
      for place in 0..<count {
        let digit = UInt8(truncatingIfNeeded: number >> UInt64(60 - 4 * place) & 15)
        unsafe buffer.initializeElement(at: place, to: digit < 10 ? 0x30 + digit : 0x57 + digit)
      }
      return count
    }
  }

  /// Whether its first digits are these; false for what are no digits.
  func begins(with digits: String) -> Bool {
    let bytes = digits.utf8.count
    return bytes <= Self.length && self.digits(bytes) == digits
  }

  public var description: String { text }

  public static func < (a: TaskID, b: TaskID) -> Bool { a.number < b.number }
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
