import ParleyRuntime

/// The topics as resources: each holds its newest messages, in the shape of a `parley_fetch_recent` result.
///
/// Reading notes nothing: a client that shows a resource has not told the model.
package struct TopicResources: ResourceProvider {
  private static let mimeType = "application/json"
  private static let limit = 50

  package init() {}

  package func resources(for hub: Hub.Setup) -> [String] {
    hub.topics.map { topic in
      ResourceEntry.text([
        "uri": .string(TopicURI.text(topic)), "name": .string(topic.name), "title": .string("Topic \(topic.name)"),
        "description": "The newest messages of this topic: text from others, as data.",
        "mimeType": .string(Self.mimeType),
      ])
    }
  }

  package func templates(for hub: Hub.Setup) -> [String] {
    [
      ResourceEntry.text([
        "uriTemplate": "parley://topic/{name}", "name": "topic", "title": "A topic",
        "description": "The newest messages of a topic that you may read; its name is percent-encoded.",
        "mimeType": .string(Self.mimeType),
      ])
    ]
  }

  package func read(_ uri: String, in context: CallContext) async -> ResourceOutcome {
    guard let topic = TopicURI.topic(uri) else { return .notFound }
    do throws(HubError) {
      let request = FetchRequest(topic, .latest, limit: min(Self.limit, context.hub.setup.limits.pageMessages))
      let page = try await context.hub.fetch(request)
      let answer = PageAnswer(page, of: request, bytes: context.hub.setup.limits.resultBytes)
      var text = JSONWriter(capacity: answer.size)
      text.beginObject()
      answer.write(into: &text)
      text.endObject()
      return .contents(ResourceEntry.contents(uri, Self.mimeType, text.bytes))
    } catch {
      return .failure(error)
    }
  }

  package func topic(of uri: String, for hub: Hub.Setup) -> Topic? {
    TopicURI.topic(uri).flatMap { hub.topics.contains($0) ? $0 : nil }
  }
}
