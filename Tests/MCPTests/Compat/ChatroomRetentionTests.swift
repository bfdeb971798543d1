import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyMCP

/// What a chatroom knows on a store that forgets.
@Suite struct ChatroomRetentionTests {
  /// 90 days on a store that keeps a week, in a room where little is said: numbers, topics, places and summaries are
  /// there at the end for who reads it then for the first time. Whoever keeps them changes on the way.
  @Test func stateOutlivesRetention() throws {
    try ToolRoom.play { room in
      func enter(_ hub: Hub) -> (chat: Chatroom, life: Task<Void, Never>) {
        let chat = Chatroom(hub: hub, guarded: [], options: Chatroom.Options())
        return (chat, room.loop.spawn { await chat.run() })
      }
      func end(_ one: (chat: Chatroom, life: Task<Void, Never>)) async {
        one.life.cancel()
        await one.life.value
        await one.chat.stop()
      }
      let topic = Chatroom.Options().topic
      var keeper = enter(room.ada)
      _ = try await keeper.chat.openTopic("plans", title: "Plans")
      for text in ["one", "two", "three"] {
        _ = try await keeper.chat.send(name: "ada", topic: "plans", content: text, to: "all")
      }
      _ = try await keeper.chat.setCursor(name: "ada", topic: "plans", id: 2)
      _ = try await keeper.chat.writeSummary(name: "ada", topic: "plans", content: "so far", scope: "all")
      for day in 0..<90 {
        await room.loop.sleep(for: .seconds(86_400))
        room.store.expire(topic, olderThan: .seconds(7 * 86_400))
        guard day % 20 == 19 else { continue }
        let next = enter(room.bob)
        _ = try await next.chat.status()
        await end(keeper)
        keeper = next
      }
      await end(keeper)
      #expect(room.store.history(of: topic).count { !$0.isRemoved } < 20)
      let later = enter(room.ada)
      #expect(try await later.chat.status()["message_count"] == 3)
      #expect(try await later.chat.topics(name: "ada", status: "all")[0]?["cursor"] == 2)
      #expect(try await later.chat.current().fold.latestSummary(in: "plans", for: nil)?.text == "so far")
      let fourth = try await later.chat.send(name: "ada", topic: "plans", content: "four", to: "all")
      #expect(fourth == ["id": 4])
      await end(later)
    }
  }
}
