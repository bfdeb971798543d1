import ParleyCoordination
import ParleyRuntime

/// `parley_list_users`: who can be reached, by the presence records and by who spoke lately.
package struct ListUsersTool: Tool {
  package let name = "parley_list_users"
  package let onlyReads = true

  package init() {}

  package func definition(for hub: Hub.Setup) -> String {
    ToolDefinition(
      name: name, title: "Who is here",
      description: "Participants you can reach: agents, bots, and people who spoke lately. `listens`: what reaches "
        + "them at once (all, mentions, none: they look). `shared`: several processes use the handle.",
      effects: .init(readsOnly: true, isIdempotent: true),
      input: [
        "filter": Schema.string("Handle glob: * ?"),
        "topic": Schema.string,
        "online_only": Schema.boolean,
        "since_ms": Schema.integer(atLeast: 1, "Who was here so lately; default a day"),
        "limit": Schema.integer(atLeast: 1),
      ],
      output: ["users": ["type": "array", "items": Schema.object], "truncated": Schema.boolean],
      outputRequired: ["users", "truncated"]
    ).text
  }

  package func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    do throws(HubError) {
      let query = try await Self.query(ToolArguments(arguments), in: context.hub)
      let reader = RosterReader(hub: context.hub, lifetime: context.hub.setup.presenceLifetime)
      let (participants, truncated) = try await reader.read(query)
      return .success(
        members: Self.answer(participants, truncated, bytes: context.hub.setup.limits.resultBytes))
    } catch {
      return .failure(error)
    }
  }

  private static func query(_ arguments: ToolArguments, in hub: Hub) async throws(HubError) -> RosterQuery {
    var query = RosterQuery()
    query.filter = try arguments.text("filter")
    if let filter = query.filter, filter.utf16.count > 256 {
      throw .badArgument(name: "filter", reason: "must not be longer than 256 characters")
    }
    if try arguments.text("topic") != nil { query.topic = try await arguments.topic(in: hub) }
    query.onlineOnly = try arguments.flag("online_only") ?? false
    if let since = try arguments.integer("since_ms", atLeast: 1) { query.since = Int64(min(since, 1 << 50)) }
    query.limit = try arguments.integer("limit", atLeast: 1)
    return query
  }

  private static func answer(_ participants: [Participant], _ truncated: Bool, bytes: Int) -> [UInt8] {
    var writer = JSONWriter(capacity: 256 * participants.count + 64)
    var isCut = truncated
    writer.key("users")
    writer.beginArray()
    for participant in participants {
      // What is over is told as `truncated`; the rest can be had by a filter.
      guard writer.bytes.count < bytes - 2_000 else {
        isCut = true
        break
      }
      writer.participant(participant)
    }
    writer.endArray()
    writer.member("truncated", isCut)
    return writer.bytes
  }
}

extension JSONWriter {
  /// Writes a participant: the keys of the TypeScript Parley first, then ours where there is something to say.
  package mutating func participant(_ participant: Participant) {
    beginObject()
    member("handle", participant.handle.name)
    member("online", participant.isOnline)
    strings("topics", participant.topics)
    strings("postTopics", participant.postTopics)
    key("lastSeenMs")
    int(participant.lastSeen)
    member("kind", participant.party.rawValue)
    if let status = participant.status { member("status", status) }
    if let listens = participant.listens { member("listens", listens.rawValue) }
    if participant.instances > 1 { member("shared", true) }
    endObject()
  }
}
