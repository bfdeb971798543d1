import Glibc
import ParleyMCP
import ParleyRuntime

/// Standard output and error of a command: whole lines, unbuffered, text or JSON.
///
/// SIGPIPE keeps its default action, so `parley tail | head` ends quietly.
struct Output: Sendable {
  let isJSON: Bool

  /// Prints one line of text; nothing where JSON is asked for.
  func line(_ text: String) {
    if !isJSON { Self.write(text + "\n", to: STDOUT_FILENO) }
  }

  /// Prints one JSON object on a line of its own; nothing where text is asked for.
  func object(_ build: (inout JSONWriter) -> Void) {
    value { writer in
      writer.beginObject()
      build(&writer)
      writer.endObject()
    }
  }

  /// Prints one JSON value on a line of its own; nothing where text is asked for.
  func value(_ build: (inout JSONWriter) -> Void) {
    guard isJSON else { return }
    var writer = JSONWriter()
    build(&writer)
    writer.endLine()
    Self.write(writer.bytes, to: STDOUT_FILENO)
  }

  /// Prints one message: a JSON object, or a line a person can read, in which nothing can touch the terminal.
  func message(_ message: Message) {
    value { $0.message(message) }
    let to = message.to.map { " → " + VisibleText.visible($0.name, keepsLines: false) } ?? ""
    let kind = message.kind.map { " [" + VisibleText.visible($0, keepsLines: false) + "]" } ?? ""
    let sender = VisibleText.visible(message.sender.name, keepsLines: false)
    // Further lines are indented, so that none can pass for a message of its own.
    let content = VisibleText.visible(message.content).replacing("\n", with: "\n    ")
    line("\(clock(message.timestamp)) \(sender)\(to)\(kind)> \(content)")
  }

  /// Tells a gap: an object in the JSON stream, a line on standard error otherwise.
  func gap(_ gap: Gap) {
    object { writer in
      writer.key("gap")
      writer.gap(gap, namingTopic: true)
    }
    if !isJSON { note("gap in \(gap.topic.name): \(gap.reason)\(gap.isCertain ? "" : " (loss cannot be ruled out)")") }
  }

  /// Prints a line on standard error, in both forms of output.
  func note(_ text: String) { Self.write("parley: \(text)\n", to: STDERR_FILENO) }

  /// Tells an error: a JSON object or a line, on standard error.
  func error(_ code: String, _ text: String) {
    guard isJSON else { return note(text) }
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("error")
    writer.beginObject()
    writer.member("code", code)
    writer.member("message", text)
    writer.endObject()
    writer.endObject()
    writer.endLine()
    Self.write(writer.bytes, to: STDERR_FILENO)
  }

  /// Whether a person watches standard error.
  static var hasTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// A result that cannot be written was not given: the command has failed, and must not end as if it had not.
  private static func failed(_ descriptor: CInt) {
    guard descriptor == STDOUT_FILENO else { return }
    let reason = SystemError.last("write to standard output")
    write("parley: \(reason)\n", to: STDERR_FILENO)
    exit(ExitStatus.failed.rawValue)
  }

  static func write(_ text: String, to descriptor: CInt) { write(Array(text.utf8), to: descriptor) }

  static func write(_ bytes: [UInt8], to descriptor: CInt) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return failed(descriptor) }
      rest = rest.dropFirst(count)
    }
  }

  /// `HH:MM` of an ISO 8601 time stamp in UTC, or the stamp itself where it is none.
  private func clock(_ timestamp: String) -> String {
    let utf8 = Array(timestamp.utf8)
    guard utf8.count >= 16, utf8[10] == UInt8(ascii: "T") else {
      return VisibleText.visible(timestamp, keepsLines: false)
    }
    return String(decoding: utf8[11..<16], as: UTF8.self)
  }
}
