import ArgumentParser
import ParleyRuntime

/// `parley tail`: prints messages as they come, until it is stopped.
struct TailCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tail", abstract: "Print messages as they come.",
    discussion: "Runs until it is interrupted; a backend that goes away and comes back loses nothing.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topics to follow (default: all configured ones).")
  var topics: [String] = []

  @Option(name: .shortAndLong, help: "Begin with this many earlier messages of each topic.")
  var lines = 10

  func validate() throws {
    guard (0...1000).contains(lines) else { throw ValidationError("--lines must be 0 to 1000.") }
  }

  func run() throws {
    let (named, lines) = (topics.map(Topic.init), lines)
    try session.run { room in
      let hub = room.hub
      for topic in named { try await hub.check(topic) }
      let topics = named.isEmpty ? hub.setup.topics : named
      let showsTopic = topics.count > 1 && !room.output.isJSON
      @Sendable func show(_ message: Message) {
        if showsTopic { Output.write(VisibleText.visible(message.topic.name, keepsLines: false) + " ", to: 1) }
        room.output.message(message)
      }
      for topic in topics {
        let page = try await hub.fetch(FetchRequest(topic, .latest, limit: max(lines, 1)))
        for message in page.messages.suffix(lines) { show(message) }
        _ = await hub.supervisor.follow(topic, after: page.next) { delivery in
          switch delivery {
          case .message(let message): show(message)
          case .gap(let gap): room.output.gap(gap)
          }
          return .more
        }
      }
      while await hub.loop.sleep(for: .seconds(3600)) {}
    }
  }
}
