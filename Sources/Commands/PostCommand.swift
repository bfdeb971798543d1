import ArgumentParser
import Glibc
import ParleyRuntime

/// `parley post`: stores one message and prints its id.
struct PostCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "post", abstract: "Post one message.",
    discussion: """
      The text is the rest of the command line, or standard input where it is "-" or absent. Prints the message's id \
      once the backend has stored it. A retry with the same --key is one message.
      """)

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topic to post to.")
  var topic: String

  @Argument(help: "The text; \"-\" or nothing reads standard input.")
  var text: [String] = []

  @Option(help: "Makes a retry safe: the same key with the same text is one message.")
  var key: String?

  @Option(name: .customLong("reply-to"), help: "The id of the message this one answers.")
  var replyTo: String?

  @Option(help: "The one handle it is meant for; everyone may read it.")
  var to: String?

  @Option(name: .customLong("attribute"), help: "A flat attribute NAME=VALUE; may be given more than once.")
  var attributes: [String] = []

  func run() throws {
    let loaded = try Launch.load(session.shared)
    var request = PostRequest(topic: Topic(topic), content: try content())
    request.inReplyTo = replyTo.map(MessageID.init)
    request.to = to.map(Handle.init)
    request.key = key
    for attribute in attributes {
      let parts = attribute.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw ValidationError("--attribute wants NAME=VALUE, not '\(attribute)'.")
      }
      request.attributes[String(parts[0])] = String(parts[1])
    }
    try session.run(loaded) { [request] room in
      let receipt = try await room.hub.post(request)
      room.output.line(receipt.id.text)
      room.output.object { writer in
        writer.member("backendMsgId", receipt.id.text)
        writer.member("cursor", receipt.cursor.text)
        writer.member("topic", request.topic.name)
        writer.member("durability", receipt.durability.description)
        writer.key("duplicate")
        writer.bool(receipt.isDuplicate)
      }
    }
  }

  private func content() throws -> String {
    if !text.isEmpty, text != ["-"] { return text.joined(separator: " ") }
    if text.isEmpty, isatty(STDIN_FILENO) == 1 {
      throw ValidationError("Nothing to post: give the text, or pipe it in.")
    }
    guard let content = try StandardInput.readAll() else {
      throw CommandFailure(.usage, code: "invalidRequest", "standard input is not valid UTF-8")
    }
    return content.last == "\n" ? String(content.dropLast()) : content
  }
}

/// Reads standard input to its end.
enum StandardInput {
  /// The text, or nil where it is not UTF-8. Throws when reading fails.
  static func readAll() throws(SystemError) -> String? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe read(STDIN_FILENO, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw SystemError.last("read standard input") }
      if count == 0 { return String(validating: bytes, as: UTF8.self) }
      bytes += chunk[..<count]
    }
  }
}
