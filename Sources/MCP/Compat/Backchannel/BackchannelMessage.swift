import ParleyCoordination
import ParleyRuntime

/// Messages and channels in the shape of that system.
enum BackchannelMessage {
  /// `2026-07-12T18:03:11.204000+00:00`
  static func time(_ milliseconds: Int64) -> String { Timestamp.text(milliseconds).dropLast() + "000+00:00" }

  static func channel(_ channel: BackchannelDirectory.Channel) -> JSONValue {
    [
      "id": .string(channel.name), "name": .string(channel.name),
      "mode": .string(BackchannelDirectory.mode(channel.isClaimable)), "access": "open", "description": nil,
      "created_at": channel.createdAt == 0 ? nil : .string(time(channel.createdAt)), "is_member": true,
    ]
  }

  /// A message that nobody can claim.
  static func plain(
    id: MessageID, channel: String, sender: Handle, content: String, extra: Attributes, at storedAt: Int64
  ) -> JSONValue {
    .object(
      common(
        id: id.text, channel: channel, sender: sender, content: content, extra: extra, at: storedAt,
        until: storedAt + Backchannel.lifetime.milliseconds, isActive: true))
  }

  /// A task as it is at a time.
  static func task(_ task: TaskRecord, channel: String, at now: Int64) -> JSONValue {
    let status = task.status(at: now)
    var message = common(
      id: task.id.text, channel: channel, sender: task.poster.handle, content: task.body ?? task.title,
      extra: task.extra, at: task.postedAt, until: task.expiresAt, isActive: status != .expired && status != .cancelled)
    if task.bodyIsGone { message["content_in"] = .string(task.message.text) }
    if let claim = task.claim, task.ending != nil || task.heldClaim(at: now) != nil {
      message["claimed_by"] = holder(claim)
      message["claimed_at"] = .string(time(claim.since))
      message["lease_expires_at"] = .string(time(claim.until))
    }
    if let ending = task.ending, ending.kind == .done {
      var by = task.claim.map { holder($0).object ?? [:] } ?? ["id": .string(ending.by.handle.name)]
      by["occurred_at"] = .string(time(ending.at))
      message["acknowledged_by"] = [.object(by)]
    }
    return .object(message)
  }

  private static func holder(_ claim: TaskClaim) -> JSONValue {
    let handle = claim.holder.handle.name
    return ["id": .string(handle), "name": .string(claim.extra[Backchannel.actorName] ?? handle)]
  }

  private static func common(
    id: String, channel: String, sender: Handle, content: String, extra: Attributes, at storedAt: Int64,
    until: Int64, isActive: Bool
  ) -> JSONObject {
    let metadata = extra[Backchannel.metadataName].flatMap { text in try? JSONValue(parsing: text) }
    return [
      "id": .string(id), "channel_id": .string(channel),
      "actor": ["id": .string(sender.name), "name": .string(sender.name)],
      "actor_label": .text(extra[Backchannel.actorName]), "content": .string(content),
      "metadata": metadata ?? .object([:]), "created_at": .string(time(storedAt)), "expires_at": .string(time(until)),
      "claimed_by": nil, "claimed_by_key_id": nil, "claimed_at": nil,
      "mentions": .array(Mentions.handles(in: content).map { .string($0.name) }), "acknowledged_by": [],
      "active": .bool(isActive),
    ]
  }
}
