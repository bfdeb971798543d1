import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// What doctor gets to know of a server and its rooms.
@Suite struct InspectionTests {
  @Test func ofRooms() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let soon = loop.now.advanced(by: .seconds(30))
      let backend = XMPPBackend(loop: loop, options: try store.options())
      try await backend.connect { _ in }
      _ = try await backend.post(draft("first", on: "ours"), deadline: soon)
      try await backend.restrict(Topic("closed"), to: [], deadline: soon)
      let carol = try await Person.connect("carol", to: store, loop: loop)
      _ = try await carol.join(Topic("hers"), as: "carol")

      let topics = ["ours", "closed", "hers", "none"].map { Topic($0) }
      let own = try await XMPPInspection.look(store.options(), at: topics)
      #expect(own.rooms.map(\.topic) == topics && own.rooms.map(\.address).last == "none@rooms.chat.test")
      guard case .open(let ours) = own.rooms[0].state, case .open(let closed) = own.rooms[1].state,
        case .open(let hers) = own.rooms[2].state, case .absent = own.rooms[3].state
      else {
        Issue.record("\(own.rooms)")
        return
      }
      #expect(ours.role == "moderator" && ours.affiliation == "owner" && ours.hasArchive && ours.isPersistent)
      #expect(ours.isNonAnonymous && !ours.isMembersOnly)
      #expect(ours.oldest.map { $0 >= .zero && $0 < .seconds(60) } == true, "\(ours)")
      #expect(closed.isMembersOnly && closed.oldest == nil)
      #expect(hers.role == "participant" && hers.affiliation == "none" && !hers.isNonAnonymous)
      let bobs = try await XMPPInspection.look(store.options("bob"), at: topics)
      guard case .refused(let reason) = bobs.rooms[1].state else {
        Issue.record("\(bobs.rooms)")
        return
      }
      #expect(reason.contains("registration-required") || reason.contains("forbidden"), "\(reason)")
      // Nobody was disturbed, and nothing made.
      #expect(own.rooms.count == bobs.rooms.count)
      await #expect(throws: SeamError.self) {
        try await carol.session.request(
          "get", to: TopicRooms(service: ProsodyServer.rooms).room(of: Topic("none")),
          XMLElement("query", Namespace.info), "ask", until: soon)
      }
      carol.session.close()
      await backend.disconnect()
      await store.end()
    }
  }
}
