import ArgumentParser
import ParleyCoordination
import ParleyRuntime

/// `parley topics`: the configured topics and how much of each is unread.
struct TopicsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "topics", abstract: "List the configured topics with unread counts.")

  @OptionGroup var session: SessionOptions

  func run() throws {
    try session.run { room in
      let marks = await (try room.marks()).marks
      let inbox = Inbox(hub: room.hub, options: .init(filter: PushFilter(author: room.hub.setup.author)))
      await inbox.start(marks: marks)
      let unread = await inbox.unread
      for topic in room.hub.setup.topics {
        let count = unread[topic] ?? Unread(count: 0, isCapped: false)
        let newest = try await room.hub.fetch(FetchRequest(topic, .latest, limit: 1)).messages.last
        let last = newest.map { "  last \($0.timestamp) by \(VisibleText.visible($0.sender.name, keepsLines: false))" }
        room.output.line("\(topic.name)  \(count.count)\(count.isCapped ? "+" : "") unread\(last ?? "")")
        room.output.object { writer in
          writer.member("topic", topic.name)
          writer.key("unread")
          writer.int(count.count)
          writer.key("unreadCapped")
          writer.bool(count.isCapped)
          if let newest { writer.member("lastTimestamp", newest.timestamp) }
          if let newest { writer.member("lastSender", newest.sender.name) }
        }
      }
      await inbox.stop()
    }
  }
}
