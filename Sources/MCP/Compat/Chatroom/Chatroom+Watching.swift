import ParleyCoordination
import ParleyRuntime

/// The room for who looks on, without tools.
extension Chatroom {
  /// One topic of the room as somebody sees it.
  package struct RoomLine: Hashable, Sendable {
    package var id: String
    package var title: String
    package var isClosed: Bool
    /// Messages that the participant has not read by the room's tools.
    package var unread: Int
    /// By the store's clock, milliseconds since 1970.
    package var lastActivity: Int64
  }

  /// A room outside a session: names are those that `guarded` does not keep for others.
  package init(hub: Hub, guarded: Set<Handle>, options: Options) {
    self.init(hub: hub, names: NameRules(hub: hub, guarded: guarded), options: options)
  }

  /// Reads the room's log once, and calls `observer` on the loop after every change.
  package func watch(_ observer: @escaping @Sendable () -> Void) async throws(HubError) {
    await log.observe(observer)
    try await log.load()
  }

  /// The room's topics, by id, with what `name` has not read.
  package func rooms(for name: String) async -> [RoomLine] {
    let fold = await log.state
    return fold.rooms.values.sorted { $0.id < $1.id }.map { room in
      RoomLine(
        id: room.id, title: room.title, isClosed: room.closedAt != nil, unread: fold.unread(name, in: room.id),
        lastActivity: room.lastActivity)
    }
  }

  /// The newest messages of one of the room's topics, ascending, as messages of the room's log. One whose text had to
  /// be let go is left out.
  package func messages(in room: String, for name: String?, limit: Int) async -> [Message] {
    await log.state.newest(in: room, for: name, limit: limit).compactMap { entry in
      guard let content = entry.content else { return nil }
      return Message(
        topic: options.topic, sender: Handle(entry.from), content: content, timestamp: Timestamp.text(entry.at),
        storedAt: entry.at, id: entry.message, cursor: entry.cursor, to: entry.to.map { Handle($0) })
    }
  }

  /// Says something in one of the room's topics.
  package func speak(_ text: String, in room: String, as name: String) async throws(HubError) {
    do throws(Refusal) {
      _ = try await send(name: name, topic: room, content: text, to: "all")
    } catch {
      throw .refused(code: error.code, reason: error.reason)
    }
  }
}
