import ParleyRuntime

/// What a person writes in a chat client to take part in tasks: the first line of a plain message.
///
/// A claim and a result count by themselves, at their place in the log, whoever may answer them.
enum TaskCommand: Hashable, Sendable {
  /// `!tasks`
  case list
  /// `!claim 7f3a`, or `!claim` as a reply to the task.
  case claim(TaskReference?)
  /// `!done 7f3a text`, or `!done text` as a reply to the task.
  case done(TaskReference?, result: String)

  /// Reads the command of a message; nil where it is none.
  init?(_ message: Message) {
    guard message.content.utf8.first == UInt8(ascii: "!"), message.kind == nil else { return nil }
    let content = message.content
    let name = content.prefix { !$0.isWhitespace }
    let rest = content[name.endIndex...].drop(while: \.isWhitespace)
    let word = rest.prefix { !$0.isWhitespace }
    let reference = TaskReference(String(word))
    switch name {
    case "!tasks" where rest.isEmpty: self = .list
    case "!claim" where rest.isEmpty: self = .claim(nil)
    case "!claim":
      guard let reference else { return nil }
      self = .claim(reference)
    case "!done":
      // The first word names the task where it can, and belongs to the result of a reply where it does not.
      if let reference, message.inReplyTo == nil || Self.isPlainlyID(word) {
        self = .done(reference, result: String(rest[word.endIndex...].drop(while: \.isWhitespace)))
      } else {
        self = .done(nil, result: String(rest))
      }
    default: return nil
    }
  }

  /// A word such as `dead` or `cafe` is more likely part of a sentence than an id.
  private static func isPlainlyID(_ word: Substring) -> Bool { word.utf8.contains { $0 < UInt8(ascii: "a") } }
}
