import ParleyRuntime
import Testing

@testable import ParleyMCP

/// How long `listen` waits, in virtual time.
@Suite struct DuoTimeoutTests {
  @Test(arguments: [(5, 10), (25, 25), (90, 60), (nil, 30)] as [(Int64?, Int)])
  func listenWaitsForMinutes(_ asked: Int64?, _ minutes: Int) throws {
    try ToolRoom.play { room in
      let duo = Duo(
        hub: room.bob, names: NameRules(hub: room.bob, guarded: []),
        options: Duo.Options(id: "bob", name: "bob", folder: "project"))
      let listen = try #require(DuoTools.all(duo).first { $0.name == "listen" })
      let arguments: JSONValue = asked.map { ["timeout": .int($0)] } ?? [:]
      // The first call registers.
      _ = try await duo.seated()
      let life = room.loop.spawn { await duo.run() }
      let start = room.loop.now
      guard case .content(let content) = await listen.call(try JSONSlice(arguments.text), in: room.context) else {
        Issue.record("no text")
        return
      }
      #expect(content.blocks == ["No message in \(minutes) minutes. Call listen again to go on waiting."])
      let waited = start.duration(to: room.loop.now)
      #expect(waited >= .seconds(60 * minutes) && waited < .seconds(60 * minutes + 60))
      life.cancel()
      await life.value
      await duo.stop()
    }
  }
}
