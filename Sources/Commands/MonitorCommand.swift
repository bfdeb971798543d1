import ArgumentParser
import Glibc
import ParleyConfiguration
import ParleyMCP
import ParleyMonitor
import ParleyRuntime

/// `parley monitor`: what goes on, on the screen, as it goes on.
struct MonitorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "monitor", abstract: "Watch topics, tasks and participants, and take part, on the screen.",
    discussion: """
      Where standard input or output is no terminal, and with --once, nothing can be typed: it prints the picture as \
      text or JSON, with --once a single time. NO_COLOR is respected.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
  }

  @OptionGroup var session: SessionOptions

  @Flag(help: "Print one picture and end.")
  var once = false

  @Option(help: "How the picture is printed: text or json.")
  var format = Format.text

  @Option(help: "Show what this participant sees, with what it has not read.")
  var participant: String?

  @Option(help: "Begin with this topic.")
  var topic: String?

  @Flag(name: .customLong("unread-only"), help: "List only topics with something unread.")
  var unreadOnly = false

  @Flag(
    name: .customLong("latest-topic"), help: "Begin with the topic of the latest unread message, else of the latest.")
  var latestTopic = false

  @Option(help: "List topics that are open, closed (those of a chatroom can be), or all.")
  var status = "open"

  @Option(help: "Show so many of the newest messages of a topic (1 to 1000).")
  var limit = 30

  @Option(help: "Draw news at most every so many seconds.")
  var interval = 2.0

  @Flag(name: .customLong("read-only"), help: "Post nothing.")
  var readOnly = false

  func validate() throws {
    guard (1...1000).contains(limit) else { throw ValidationError("--limit must be 1 to 1000.") }
    // In this form NaN fails too.
    guard interval > 0, interval <= 86_400 else { throw ValidationError("--interval must be more than 0.") }
    guard MonitorOptions.Status(rawValue: status) != nil else {
      throw ValidationError("--status must be open, closed or all.")
    }
    guard !latestTopic || topic == nil else { throw ValidationError("--latest-topic does not go with --topic.") }
    guard !unreadOnly || (topic == nil && !latestTopic) else {
      throw ValidationError("--unread-only is for all topics: it does not go with --topic or --latest-topic.")
    }
  }

  private var isJSON: Bool { format == .json || session.shared.json }

  private func makeOptions(hasTerminal: Bool) -> MonitorOptions {
    var options = MonitorOptions()
    options.limit = limit
    options.interval = .milliseconds(max(1, Int64(interval * 1000)))
    options.participant = participant.flatMap { Self.trimmed($0) }.map { Handle($0) }
    options.topic = topic.flatMap { Self.trimmed($0) }
    options.latestTopic = latestTopic
    options.unreadOnly = unreadOnly
    options.status = MonitorOptions.Status(rawValue: status) ?? .open
    options.readOnly = readOnly || !hasTerminal
    return options
  }

  private static func trimmed(_ text: String) -> String? {
    let start = text.drop(while: \.isWhitespace)
    let trimmed = start.reversed().drop(while: \.isWhitespace).reversed()
    return trimmed.isEmpty ? nil : String(trimmed)
  }

  func run() throws {
    let loaded = try Launch.load(session.shared)
    let surroundings = Surroundings.process
    let hasTerminal = !once && !isJSON && TerminalHandle.isPresent(term: surroundings["TERM"])
    let options = makeOptions(hasTerminal: hasTerminal)
    let room = CompatOptions(loaded)
    // Before a backend makes threads, which would take the signals otherwise.
    if hasTerminal { ProcessWatch.blockSignals() }
    let withColours = surroundings["NO_COLOR"]?.isEmpty ?? true
    let printer = MonitorPrinter(isJSON: isJSON, isOnce: once, options: options)
    try session.run(loaded, isPerson: !options.readOnly) { place in
      let chatroom = room.chatroom.map { Chatroom(hub: place.hub, guarded: room.guarded, options: $0) }
      let feed = try MonitorFeed(hub: place.hub, options: options, chatroom: chatroom)
      guard hasTerminal else { return try await printer.run(feed) }
      let monitor = Monitor(hub: place.hub, feed: feed, options: options, withColours: withColours)
      if let reason = try await monitor.run() { throw reason }
    }
  }
}

/// Prints a monitor's picture, once or whenever it changed.
private struct MonitorPrinter: Sendable {
  let isJSON: Bool
  let isOnce: Bool
  let options: MonitorOptions

  func run(_ feed: MonitorFeed) async throws {
    let failure: (any Error)?
    do {
      try await follow(feed)
      failure = nil
    } catch {
      failure = error
    }
    await feed.stop()
    if let failure { throw failure }
  }

  private func follow(_ feed: MonitorFeed) async throws {
    let changes = MonitorChanges(loop: feed.loop)
    try await feed.start { changes.note() }
    var printed: [UInt8] = []
    while true {
      let picture = try await bytes(feed)
      if picture != printed { Output.write(picture, to: STDOUT_FILENO) }
      printed = picture
      guard !isOnce, await changes.next(), await feed.loop.sleep(for: options.interval) else { return }
    }
  }

  private func bytes(_ feed: MonitorFeed) async throws -> [UInt8] {
    var state = MonitorState(await feed.snapshot(of: nil), options: options)
    if let name = options.topic {
      guard let place = state.snapshot.place(named: name) else { throw HubError.topicNotAllowed(Topic(name)) }
      state.selected = place
    } else if options.latestTopic {
      state.selected = state.snapshot.latest
    }
    if state.selected != nil { state.snapshot = await feed.snapshot(of: state.selected, withSummary: true) }
    guard isJSON else {
      let width = TerminalHandle.size?.columns ?? 100
      let lines = MonitorText.lines(state, width: width)
      return Array((lines.joined(separator: "\n") + (isOnce ? "\n" : "\n\n")).utf8)
    }
    var writer = JSONWriter()
    writer.monitor(state, limit: options.limit)
    writer.endLine()
    return writer.bytes
  }
}
