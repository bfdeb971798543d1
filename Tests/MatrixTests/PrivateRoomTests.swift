import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyMatrix

/// Conversations are rooms for their members alone; a participant's own topic is open to who shares a room with it.
@Suite(.serialized) struct PrivateRoomTests {
  private static let shared = TestHomeserver.Shared()

  private func run(_ body: @escaping @Sendable (MatrixWorld) async throws -> Void) async throws {
    try await MatrixWorld.run(try await Self.shared.value(), body)
  }

  private func invitations(of person: Person) async throws -> [String] {
    let answer = try await person.request("GET", "sync?timeout=0")
    return answer["rooms"]?["invite"]?.object?.members.map(\.name) ?? []
  }

  @Test func aConversationIsForTheInvitedAlone() async throws {
    try await run { world in
      let (ann, eve) = (try await world.person("ann"), try await world.person("eve"))
      let backend = try await world.backend()
      let topic = Topic("~dm.0123456789abcdef0123456789abcdef")
      try await backend.admit([Handle(ann.id)], to: topic, deadline: world.deadline)
      _ = try await backend.post(world.draft("between us", on: topic), deadline: world.deadline)
      let room = try #require(try await self.invitations(of: ann).first)
      // Again, nothing more happens.
      try await backend.admit([Handle(ann.id)], to: topic, deadline: world.deadline)
      let refused = try await eve.request("POST", "join/\(Person.escape(room))", [:])
      #expect(refused["errcode"]?.string == "M_FORBIDDEN")
      #expect(try await ann.request("POST", "join/\(Person.escape(room))", [:])["room_id"]?.string == room)
      try await ann.say("fine", in: room)
      try await backend.admit([Handle(ann.id)], to: topic, deadline: world.deadline)
      let page = try await backend.fetch(FetchRequest(topic), deadline: world.deadline)
      #expect(page.messages.map(\.content) == ["between us", "fine"])
    }
  }

  /// Others put invitations there, but nobody whom the participant has nothing to do with.
  @Test func aParticipantsOwnTopicIsOpenToCompanyAlone() async throws {
    try await run { world in
      let backend = try await world.backend()
      let (ann, _) = try await world.person("ann", joining: backend)
      let eve = try await world.person("eve")
      let own = Topic("@\(world.topic.name)")
      _ = try await backend.post(world.draft("read up to here", on: own), deadline: world.deadline)
      let alias = RoomAlias.alias(of: own, server: SynapseServer.name)
      let room = try #require(
        try await ann.request("GET", "directory/room/\(Person.escape(alias))")["room_id"]?.string)
      #expect(try await eve.request("POST", "join/\(Person.escape(room))", [:])["errcode"]?.string == "M_FORBIDDEN")
      #expect(try await ann.request("POST", "join/\(Person.escape(room))", [:])["room_id"]?.string == room)
    }
  }

  @Test func whoIsNotKnownIsNotLetIn() async throws {
    try await run { world in
      let backend = try await world.backend()
      let topic = Topic("~group.0123456789abcdef0123456789abcdef")
      let failure = await expectError(.invalidRequest) {
        try await backend.admit([Handle("nobody-\(world.topic)")], to: topic, deadline: world.deadline)
      }
      #expect(failure?.cause.contains("handles") == true)
      #expect(try await backend.fetch(FetchRequest(topic), deadline: world.deadline).messages.isEmpty)
    }
  }
}
