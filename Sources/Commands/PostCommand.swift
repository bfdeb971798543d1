import ArgumentParser
import Glibc
import ParleyCoordination
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

  @Option(
    name: .customLong("wait-for"),
    help: "Wait until it is pushed, seen (the recipient's read mark passed it) or acted on (a reply or task change).")
  var waitFor: String?

  @Option(help: "With --wait-for: give up after this many seconds; ends with code 4.")
  var timeout = 60.0

  func validate() throws {
    try Self.check(timeout: timeout)
    guard let waitFor else { return }
    guard let stage = ReceiptStage(name: waitFor), stage > .stored else {
      throw ValidationError("--wait-for must be pushed, seen or acted.")
    }
  }

  func run() throws {
    let loaded = try Launch.load(session.shared)
    var request = PostRequest(topic: Topic(topic), content: try StandardInput.text(text))
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
    let (stage, timeout) = (waitFor.flatMap { ReceiptStage(name: $0) }, timeout)
    try session.run(loaded) { [request] room in
      if let stage { try Receipts.check(stage, for: request) }
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
      if let stage { try await Self.follow(receipt, of: request, until: stage, timeout, in: room) }
    }
  }

  /// Whether the message came as far as it was waited for.
  private static func follow(
    _ receipt: Receipt, of request: PostRequest, until stage: ReceiptStage, _ timeout: Double, in room: Room
  ) async throws {
    let deadline = room.hub.loop.now.advanced(by: .milliseconds(Int64(timeout * 1000)))
    let reached = await Receipts(hub: room.hub).wait(
      for: stage, of: receipt, on: request.topic, recipient: Receipts.recipient(of: request), until: deadline)
    room.output.object { $0.member("receipt", reached.name) }
    guard reached >= stage else {
      throw CommandFailure(
        .nothing, code: "timedOut", "the message is stored, but only \(reached.name) within \(timeout) seconds")
    }
  }
}

/// Reads standard input to its end.
enum StandardInput {
  /// The words of a command line, or standard input where they are absent or "-".
  static func text(_ words: [String]) throws -> String {
    if !words.isEmpty, words != ["-"] { return words.joined(separator: " ") }
    if words.isEmpty, isatty(STDIN_FILENO) == 1 {
      throw ValidationError("Nothing to post: give the text, or pipe it in.")
    }
    guard let content = try readAll() else {
      throw CommandFailure(.usage, code: "invalidRequest", "standard input is not valid UTF-8")
    }
    return content.last == "\n" ? String(content.dropLast()) : content
  }

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
