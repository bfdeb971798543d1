import ArgumentParser
import ParleyConfiguration
import ParleyCoordination
import ParleyMCP
import ParleyRuntime

/// `parley users`: who can be reached.
struct UsersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "users", abstract: "List who can be reached: agents, bots, and people who spoke lately.")

  @OptionGroup var session: SessionOptions

  @Option(help: "Only handles that match this glob: * any run, ? one character.")
  var filter: String?

  @Option(help: "Only who can be reached on this topic.")
  var topic: String?

  @Flag(help: "Only who is there now.")
  var online = false

  @Option(name: .customLong("within"), help: "List who was heard of within so many seconds.")
  var within = 86_400

  @Option(help: "At most so many.")
  var limit: Int?

  func validate() throws {
    guard (1...31_536_000).contains(within) else { throw ValidationError("--within must be 1 to 31536000 seconds.") }
    guard limit ?? 1 >= 1 else { throw ValidationError("--limit must be at least 1.") }
  }

  func run() throws {
    var query = RosterQuery()
    query.filter = filter
    query.topic = topic.map { Topic($0) }
    query.onlineOnly = online
    query.since = Int64(within) * 1000
    query.limit = limit
    try session.run { [query] room in
      if let topic = query.topic { try await room.hub.check(topic) }
      let reader = RosterReader(hub: room.hub, lifetime: room.configuration.presence.lifetime)
      let (participants, truncated) = try await reader.read(query)
      for participant in participants {
        room.output.line(Self.line(participant))
        room.output.value { $0.participant(participant) }
      }
      if truncated { room.output.note("there are more") }
    }
  }

  private static func line(_ participant: Participant) -> String {
    func visible(_ text: String) -> String { VisibleText.visible(text, keepsLines: false) }
    var line = "\(visible(participant.handle.name))  \(participant.isOnline ? "online" : "offline")"
    line += "  \(participant.party.rawValue)"
    if participant.instances > 1 { line += "  shared by \(participant.instances)" }
    if !participant.topics.isEmpty { line += "  on " + participant.topics.map(visible).joined(separator: ", ") }
    if let status = participant.status { line += "  (\(visible(status)))" }
    return line
  }
}
