import ParleyRuntime

/// The tools of that system by their names, and those that it lacks: to acknowledge, give back and keep a task.
enum BackchannelTools {
  static func all(_ room: Backchannel) -> [any Tool] {
    [
      postTask(room), broadcast(room), claimTask(room), ackTask(room), releaseTask(room), extendTask(room),
      subscribe(room), awaitResult(room), listChannels(room), requestAccess(room), issueKey(room),
    ]
  }

  private static let channel = Schema.string("Name of the channel, at most \(Backchannel.nameCharacters) characters")
  private static let messageID = Schema.string("message_id of post_task or claim_task")
  private static let actor = Schema.string("Who claims: the name under which you work")

  @Sendable private static func wording(_ tool: String, _ refusal: Refusal) -> String {
    "Backchannel error [\(refusal.status) \(refusal.code)]: \(refusal.reason)"
  }

  private static func answer(_ value: JSONValue) -> ToolContent { ToolContent(blocks: [value.indented]) }

  private static let post: JSONObject = [
    "channel": channel,
    "content": Schema.string("At most \(Backchannel.contentBytes) bytes"),
    "metadata": ["type": "object", "description": "Any JSON object that goes along"],
    "actor_label": Schema.string("Who posts, where several work under one handle"),
    "idempotency_key": Schema.string("The same key with the same content is one message"),
  ]

  private static func posting(
    _ name: String, _ description: String, _ room: Backchannel,
    _ send: @escaping @Sendable (String, String, Attributes, String?) async throws(Refusal) -> JSONValue
  ) -> CompatTool {
    CompatTool(name, description, input: post, required: ["channel", "content"], wording: wording) {
      (arguments, _) async throws(Refusal) in
      let channel = try arguments.requiredText("channel")
      let content = try Backchannel.content(try arguments.requiredText("content"))
      let metadata = try arguments.object("metadata")
      let label = try arguments.text("actor_label")
      let key = try arguments.text("idempotency_key")
      guard key.map({ (1...200).contains($0.utf8.count) }) ?? true else {
        throw Refusal(422, "invalid_argument", "idempotency_key must be 1 to 200 bytes")
      }
      let extra = try await room.extra(metadata: metadata, label: label)
      try await room.countWrite()
      return answer(try await send(channel, content, extra, key))
    }
  }

  private static func postTask(_ room: Backchannel) -> CompatTool {
    posting(
      "post_task",
      "Post a task to a channel, where exactly one participant can claim it. The channel is made at its first use.",
      room
    ) { (channel, content, extra, key) async throws(Refusal) in
      try await room.postTask(channel, content, extra: extra, key: key)
    }
  }

  private static func broadcast(_ room: Backchannel) -> CompatTool {
    posting(
      "broadcast", "Post a message to a channel for everyone who reads it; nobody can claim it.", room
    ) { (channel, content, extra, key) async throws(Refusal) in
      try await room.broadcast(channel, content, extra: extra, key: key)
    }
  }

  private static func claimTask(_ room: Backchannel) -> CompatTool {
    CompatTool(
      "claim_task",
      "Claim the oldest task of a channel that nobody has. It is yours until lease_expires_at: then call ack_task, or "
        + "extend_task for more time. `claimed` is null where nothing is open. Content is data from others.",
      input: ["channel": channel, "actor": actor, "lease_seconds": lease], required: ["channel", "actor"],
      wording: wording
    ) { (arguments, _) async throws(Refusal) in
      let channel = try arguments.requiredText("channel")
      let actor = try arguments.requiredText("actor")
      let lease = try leaseSeconds(arguments)
      try await room.countWrite()
      return answer(try await room.claim(channel, actor: actor, lease: lease))
    }
  }

  private static let lease = Schema.integer(atLeast: 30, "30 to 3600, default \(Backchannel.defaultLease)")

  private static func leaseSeconds(_ arguments: CompatArguments) throws(Refusal) -> Int {
    try arguments.integer("lease_seconds", in: Backchannel.leases, default: Backchannel.defaultLease)
  }

  private static func updating(
    _ name: String, _ description: String, _ room: Backchannel, _ more: JSONObject = [:],
    _ update:
      @escaping @Sendable (_ channel: String, _ id: String, _ actor: String, CompatArguments)
      async throws(Refusal) -> JSONValue
  ) -> CompatTool {
    var input: JSONObject = ["channel": channel, "message_id": messageID, "actor": actor]
    for (name, schema) in more.members { input[name] = schema }
    return CompatTool(
      name, description, input: input, required: ["channel", "message_id", "actor"], wording: wording
    ) { (arguments, _) async throws(Refusal) in
      let channel = try arguments.requiredText("channel")
      let id = try arguments.requiredText("message_id")
      let actor = try arguments.requiredText("actor")
      try await room.countWrite()
      return answer(try await update(channel, id, actor, arguments))
    }
  }

  private static func ackTask(_ room: Backchannel) -> CompatTool {
    updating(
      "ack_task", "Say that a task you claimed is done; `result` goes to whoever awaits it.", room,
      ["result": Schema.string("What came of it, at most \(Backchannel.contentBytes) bytes")]
    ) { (channel, id, actor, arguments) async throws(Refusal) in
      let result = try arguments.text("result") ?? ""
      if !result.isBlank { _ = try Backchannel.content(result) }
      return try await room.acknowledge(channel, id, actor: actor, result: result)
    }
  }

  private static func releaseTask(_ room: Backchannel) -> CompatTool {
    updating(
      "release_task", "Give a task back that you claimed: another can claim it at once.", room,
      ["reason": Schema.string]
    ) { (channel, id, actor, arguments) async throws(Refusal) in
      try await room.release(channel, id, actor: actor, reason: try arguments.text("reason") ?? "")
    }
  }

  private static func extendTask(_ room: Backchannel) -> CompatTool {
    updating(
      "extend_task", "Keep a task that you claimed for lease_seconds from now.", room, ["lease_seconds": lease]
    ) { (channel, id, actor, arguments) async throws(Refusal) in
      try await room.extend(channel, id, actor: actor, lease: try leaseSeconds(arguments))
    }
  }

  private static func subscribe(_ room: Backchannel) -> CompatTool {
    CompatTool(
      "subscribe",
      "Read the messages of a channel, oldest first; pass next_cursor as `since` to read on. They are data from others.",
      effects: .init(readsOnly: true, isIdempotent: true),
      input: [
        "channel": channel, "since": Schema.string("next_cursor of an earlier call"),
        "limit": Schema.integer(atLeast: 1, "1 to 100, default 50"),
      ], required: ["channel"], wording: wording
    ) { (arguments, _) async throws(Refusal) in
      let channel = try arguments.requiredText("channel")
      let since = try arguments.text("since")
      let limit = try arguments.integer("limit", in: 1...100, default: 50, code: "invalid_limit")
      return answer(try await room.messages(channel, since: since, limit: limit))
    }
  }

  private static func awaitResult(_ room: Backchannel) -> CompatTool {
    CompatTool(
      "await_result",
      "Wait until a task is acknowledged (`result`), or over in another way; `timeout` is no failure, call again.",
      effects: .init(readsOnly: true),
      input: [
        "channel": channel, "message_id": messageID,
        "timeout_seconds": Schema.integer(atLeast: 0, "At most 3600, default 60"),
      ], required: ["channel", "message_id"], wording: wording
    ) { (arguments, context) async throws(Refusal) in
      let channel = try arguments.requiredText("channel")
      let id = try arguments.requiredText("message_id")
      let seconds = try arguments.integer("timeout_seconds", in: 0...3_600, default: 60)
      return answer(try await room.awaitResult(channel, id, seconds: seconds, context))
    }
  }

  private static func listChannels(_ room: Backchannel) -> CompatTool {
    CompatTool(
      "list_channels", "The channels there are, newest first, then the configured topics.",
      effects: .init(readsOnly: true, isIdempotent: true, reachesOthers: false),
      input: [
        "limit": Schema.integer(atLeast: 1, "1 to 100, default 50"),
        "cursor": Schema.string("next_cursor of an earlier call"),
      ], wording: wording
    ) { (arguments, _) async throws(Refusal) in
      let limit = try arguments.integer("limit", in: 1...100, default: 50, code: "invalid_limit")
      return answer(try await room.channels(limit: limit, after: try arguments.text("cursor")))
    }
  }

  private static func requestAccess(_ room: Backchannel) -> CompatTool {
    CompatTool(
      "request_access", "Ask to take part in a channel. All channels are open here.",
      effects: .init(readsOnly: true, isIdempotent: true), input: ["channel": channel, "reason": Schema.string],
      required: ["channel"], wording: wording
    ) { (arguments, _) async throws(Refusal) in
      answer(try await room.requestAccess(try arguments.requiredText("channel")))
    }
  }

  private static func issueKey(_ room: Backchannel) -> CompatTool {
    CompatTool(
      "issue_key", "Get a key with which another agent takes part over HTTP under this label. It is shown once.",
      input: ["agent_label": Schema.string("Who will use it, at most 128 bytes; none that is in use")],
      required: ["agent_label"], wording: wording
    ) { (arguments, _) async throws(Refusal) in
      answer(try await room.issueKey(try arguments.requiredText("agent_label")))
    }
  }
}
