import ArgumentParser
import ParleyRuntime

/// `parley wait`: ends when a message comes that was waited for.
struct WaitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wait", abstract: "Wait for a message, print it, and end.",
    discussion: "Begins now, or after --since. Ends with code 4 when nothing came within --timeout.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topics to watch (default: all configured ones).")
  var topics: [String] = []

  @Option(help: "Only a message whose text contains a match of this regular expression.")
  var match: String?

  @Option(help: "Only a message of this sender.")
  var from: String?

  @Option(help: "Only a message that mentions this handle, or is directed to it.")
  var mention: String?

  @Option(help: "Begin after this cursor (with exactly one topic).")
  var since: String?

  @Option(help: "Give up after this many seconds (default: wait for ever).")
  var timeout: Double?

  func validate() throws {
    guard since == nil || topics.count == 1 else { throw ValidationError("--since goes with exactly one topic.") }
    try Self.check(timeout: timeout)
    if let match {
      do { _ = try Regex(match) } catch { throw ValidationError("--match is not a regular expression: \(match)") }
    }
  }

  func run() throws {
    let (named, since, timeout) = (topics.map(Topic.init), since, timeout)
    let wanted = MessageTest(match: match, from: from.map(Handle.init), mention: mention.map(Handle.init))
    try session.run { room in
      let hub = room.hub
      for topic in named { try await hub.check(topic) }
      let deadline = timeout.map { hub.loop.now.advanced(by: .milliseconds(Int64($0 * 1000))) }
      var places: [Topic: Cursor] = [:]
      for topic in named.isEmpty ? hub.setup.topics : named {
        if let since {
          places[topic] = Cursor(since)
        } else {
          places[topic] = try await hub.fetch(FetchRequest(topic, .latest, limit: 1)).next
        }
      }
      if Output.hasTerminal, !room.output.isJSON {
        room.output.note("waiting on \(places.keys.sorted().map(\.name).joined(separator: ", "))")
      }
      while true {
        let news = await hub.supervisor.awaitNews(
          places, limit: 1, until: deadline ?? hub.loop.now.advanced(by: .seconds(3600)), wanted: wanted.accepts)
        for (topic, found) in news.sorted(by: { $0.key < $1.key }) {
          places[topic] = found.next
          if let gap = found.gap { room.output.gap(gap) }
          if let message = found.messages.first { return room.output.message(message) }
        }
        if news.isEmpty, deadline != nil {
          throw CommandFailure(.nothing, code: "timedOut", "nothing came within \(timeout ?? 0) seconds")
        }
      }
    }
  }
}

/// What `wait` waits for.
struct MessageTest: Sendable {
  var match: String?
  var from: Handle?
  var mention: Handle?

  func accepts(_ message: Message) -> Bool {
    if let from, message.sender != from { return false }
    if let mention, message.to != mention, !message.mentions.contains(mention) { return false }
    // Compiled per message: a Regex is not Sendable, and a waiting command sees few messages.
    if let match, let regex = try? Regex(match) { return message.content.firstMatch(of: regex) != nil }
    return true
  }
}
