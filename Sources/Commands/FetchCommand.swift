import ArgumentParser
import ParleyCoordination
import ParleyRuntime

/// `parley fetch`: prints one page of a topic.
struct FetchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fetch", abstract: "Print messages of a topic, oldest first.",
    discussion: "Without --since, --before or --unread: the newest messages. A gap is told on standard error.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topic to read.")
  var topic: String

  @Option(help: "Print what comes after this cursor.")
  var since: String?

  @Option(help: "Print what comes before this cursor.")
  var before: String?

  @Flag(help: "Print what comes after the read mark.")
  var unread = false

  @Flag(name: .customLong("mark-read"), help: "Move the read mark behind what was printed.")
  var markRead = false

  @Option(help: "At most this many messages.")
  var limit = 100

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be at least 1.") }
    guard [since != nil, before != nil, unread].filter({ $0 }).count <= 1 else {
      throw ValidationError("--since, --before and --unread exclude each other.")
    }
    guard !(markRead && before != nil) else { throw ValidationError("--mark-read does not go with --before.") }
  }

  func run() throws {
    let (topic, limit, markRead, unread) = (Topic(topic), limit, markRead, unread)
    let fixed: Position? = since.map { .after(Cursor($0)) } ?? before.map { .before(Cursor($0)) }
    try session.run { room in
      try await room.hub.check(topic)
      let marks = unread || markRead ? try await room.marks() : nil
      var position = fixed ?? .latest
      if unread, let mark = await marks?.marks[topic] { position = .after(mark) }
      let request = FetchRequest(topic, position, limit: min(limit, room.hub.setup.limits.pageMessages))
      let page = try await room.hub.fetch(request)
      if let gap = page.gap { room.output.gap(gap) }
      for message in page.messages { room.output.message(message) }
      if markRead, let marks, let last = page.messages.last {
        try await marks.mark(topic, at: page.next, storedAt: last.storedAt)
      }
      room.output.object { writer in
        writer.member("nextCursor", page.next.text)
        if let previous = page.previous { writer.member("previousCursor", previous.text) }
        writer.key("hasMore")
        writer.bool(page.hasMore)
      }
    }
  }
}
