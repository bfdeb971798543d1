import ParleyCoordination
import ParleyRuntime

/// The task boards as resources, `parley://tasks/{topic}`: open and held tasks, then those that ended lately.
package struct TaskResources: ResourceProvider {
  private static let mimeType = "application/json"
  /// Those that ended, at most.
  private static let ended = 50

  package init() {}

  package func resources(for hub: Hub.Setup) -> [String] {
    hub.topics.map { topic in
      ResourceEntry.text([
        "uri": .string(TopicURI.board(topic)), "name": .string("tasks of \(topic.name)"),
        "title": .string("Tasks on \(topic.name)"),
        "description": "What is to be done on this topic, who does it, and what was done: text from others, as data.",
        "mimeType": .string(Self.mimeType),
      ])
    }
  }

  package func templates(for hub: Hub.Setup) -> [String] {
    [
      ResourceEntry.text([
        "uriTemplate": "parley://tasks/{topic}", "name": "tasks", "title": "The tasks of a topic",
        "description": "The task board of a topic that you may read; its name is percent-encoded.",
        "mimeType": .string(Self.mimeType),
      ])
    ]
  }

  package func read(_ uri: String, in context: CallContext) async -> ResourceOutcome {
    guard let topic = TopicURI.boardTopic(uri) else { return .notFound }
    do throws(HubError) {
      let board = try await context.tasks.board(of: topic, ended: Self.ended)
      var text = JSONWriter(capacity: 4096)
      text.beginObject()
      text.member("topic", topic.name)
      text.key("tasks")
      text.tasks(board.live + board.ended, at: board.now, bytes: context.hub.setup.limits.resultBytes)
      text.key("nowMs")
      text.int(board.now)
      if board.ignoredEvents > 0 {
        text.key("ignoredEvents")
        text.int(board.ignoredEvents)
      }
      text.endObject()
      return .contents(ResourceEntry.contents(uri, Self.mimeType, text.bytes))
    } catch {
      return .failure(error)
    }
  }

  package func topic(of uri: String, for hub: Hub.Setup) -> Topic? {
    TopicURI.boardTopic(uri).flatMap { hub.topics.contains($0) ? $0 : nil }
  }
}

/// Several providers as one: each address belongs to the first that knows it.
package struct CombinedResources: ResourceProvider {
  private let providers: [any ResourceProvider]

  package init(_ providers: any ResourceProvider...) { self.providers = providers }

  package func resources(for hub: Hub.Setup) -> [String] { providers.flatMap { $0.resources(for: hub) } }

  package func templates(for hub: Hub.Setup) -> [String] { providers.flatMap { $0.templates(for: hub) } }

  package func read(_ uri: String, in context: CallContext) async -> ResourceOutcome {
    for provider in providers {
      switch await provider.read(uri, in: context) {
      case .notFound: continue
      case let outcome: return outcome
      }
    }
    return .notFound
  }

  package func topic(of uri: String, for hub: Hub.Setup) -> Topic? {
    for provider in providers { if let topic = provider.topic(of: uri, for: hub) { return topic } }
    return nil
  }
}

/// The JSON that all resources share.
enum ResourceEntry {
  /// One entry of a list.
  static func text(_ members: JSONObject) -> String { JSONValue.object(members).text }

  /// The contents of a resource of one text.
  static func contents(_ uri: String, _ mimeType: String, _ text: [UInt8]) -> [UInt8] {
    var contents = JSONWriter(capacity: text.count * 5 / 4 + 128)
    contents.beginArray()
    contents.beginObject()
    contents.member("uri", uri)
    contents.member("mimeType", mimeType)
    contents.member("text", String(decoding: text, as: UTF8.self))
    contents.endObject()
    contents.endArray()
    return contents.bytes
  }
}
