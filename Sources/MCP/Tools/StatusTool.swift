import ParleyCoordination
import ParleyRuntime

/// `parley_status`: how the backend is doing, and under which rules this participant works.
package struct StatusTool: Tool {
  package let name = "parley_status"
  package let onlyReads = true

  package init() {}

  package func definition(for hub: Hub.Setup) -> String {
    ToolDefinition(
      name: name, title: "Status",
      description: "Whether messages get through now (backend state and cause), who you are, your topics, limits, "
        + "unread counts, versions.",
      effects: .init(readsOnly: true, reachesOthers: false),
      input: [:],
      output: [
        "backend": Schema.object, "handle": Schema.string, "topics": Schema.strings, "postTopics": Schema.strings,
        "limits": Schema.object,
        "caughtUp": Schema.boolean, "ignoredEvents": Schema.integer, "versions": Schema.object,
      ],
      outputRequired: ["backend", "handle", "topics", "limits", "caughtUp", "versions"]
    ).text
  }

  package func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    let setup = context.hub.setup
    let health = await context.hub.supervisor.health
    let traits = await context.hub.supervisor.traits
    var writer = JSONWriter(capacity: 1024)
    writer.key("backend")
    Self.write(health, traits, into: &writer)
    writer.member("handle", await context.hub.author.handle.name)
    writer.strings("topics", setup.topics.map(\.name))
    if !setup.postPatterns.isEmpty { writer.strings("postTopics", setup.postPatterns) }
    writer.key("limits")
    Self.write(setup.limits, contentLimit: traits.contentLimit, into: &writer)
    writer.member("caughtUp", await context.inbox.ready(until: context.hub.loop.now))
    let ignored = await context.marks.ignoredEvents
    if ignored > 0 {
      writer.key("ignoredEvents")
      writer.int(ignored)
    }
    writer.key("versions")
    writer.beginObject()
    writer.member("parley", ParleyVersion.text)
    writer.endObject()
    return .success(members: writer.bytes)
  }

  private static func write(_ health: Health, _ traits: BackendTraits, into writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("name", traits.name)
    writer.member("location", traits.location)
    writer.member("state", health.state.rawValue)
    writer.key("sinceMs")
    writer.int(health.since)
    if let cause = health.cause { writer.member("cause", cause.description) }
    writer.key("reconnects")
    writer.int(health.reconnects)
    writer.member("durability", traits.durability.description)
    writer.strings("notes", traits.notes)
    writer.endObject()
  }

  /// The names are those of the configuration's `limits`; the content's is the smaller of ours and the backend's (S8).
  private static func write(_ limits: Limits, contentLimit: Int?, into writer: inout JSONWriter) {
    writer.beginObject()
    for (name, value) in [
      ("contentBytes", min(limits.contentBytes, contentLimit ?? .max)), ("attributesBytes", limits.attributesBytes),
      ("topicBytes", limits.topicBytes), ("handleBytes", limits.handleBytes), ("pageMessages", limits.pageMessages),
      ("pageBytes", limits.pageBytes), ("resultBytes", limits.resultBytes), ("lineBytes", limits.lineBytes),
      ("pendingCalls", limits.pendingCalls), ("waitMs", Int(limits.wait.milliseconds)),
    ] {
      writer.key(name)
      writer.int(value)
    }
    writer.endObject()
  }
}

extension JSONWriter {
  /// Writes a member that is an array of strings.
  mutating func strings(_ name: String, _ values: [String]) {
    key(name)
    beginArray()
    for value in values { string(value) }
    endArray()
  }
}
