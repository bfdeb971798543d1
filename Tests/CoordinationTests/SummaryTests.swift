import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyCoordination

@Suite struct SummaryTests {
  private static func message(_ number: Int, _ text: EventText, by handle: String = "ada") -> Message {
    Message(
      topic: Topic("general"), sender: Handle(handle), content: text.content, timestamp: "", storedAt: Int64(number),
      id: MessageID("m\(number)"), cursor: Cursor("\(number)"), attributes: text.attributes)
  }

  @Test func everyEventComesBackFromItsMessage() throws {
    let summary = Summary(
      scope: Handle("b\"ob"), text: "line\nline", by: Handle("ada"), at: 5, message: MessageID("$x"))
    for event: SummaryEvent in [
      .summary(scope: nil, text: "all {"), .summary(scope: Handle("bob"), text: "x"),
      .checkpoint([summary], through: Cursor("c")), .checkpoint([], through: Cursor("c")),
    ] {
      #expect(try SummaryEvent(Self.message(1, event.message)) == event)
    }
  }

  @Test(arguments: [
    ["kind": "summary"], ["kind": "summary", "scope": ""], ["kind": "summary", "scope": "all", "v": "2"],
    ["kind": "summary.state"], ["kind": "summary.state", "through": "1"],
  ])
  func whatIsNotUnderstoodChangesNothingAndIsCounted(_ attributes: Attributes) {
    for content in ["", "{", "[]", #"{"summaries":[{"scope":"all"}]}"#, String(repeating: "x", count: 20_000)] {
      guard content.count != 20_000 || attributes["scope"] == "all" else { continue }
      var fold = SummaryFold()
      fold.apply(Self.message(1, SummaryEvent.summary(scope: nil, text: "kept").message))
      fold.apply(Self.message(2, (content, attributes)))
      #expect(fold[nil]?.text == "kept" && fold.all.count == 1)
      #expect(fold.ignoredEvents == 1)
    }
  }

  /// Random histories: whoever begins at any checkpoint agrees with whoever read everything.
  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func aCheckpointStandsForWhatCameBefore(_ seed: UInt64) throws {
    var random = SplitMix(seed)
    var fold = SummaryFold()
    var messages: [Message] = []
    var checkpoints: [(text: EventText, place: Int)] = []
    for number in 1...60 {
      if random.below(5) == 0, let text = fold.checkpoint(through: Cursor("\(number)")) {
        checkpoints.append((text, messages.count))
      }
      let scope = random.below(3) == 0 ? nil : Handle("h\(random.below(4))")
      let text = String(repeating: "x", count: 1 + random.below(16_000))
      let message = Self.message(number, SummaryEvent.summary(scope: scope, text: text).message)
      messages.append(message)
      fold.apply(message)
    }
    #expect(fold.all.reduce(0) { $0 + $1.text.utf8.count } <= SummaryFold.bytes)
    for (text, place) in checkpoints {
      var other = SummaryFold()
      other.restore(from: Self.message(1_000, text))
      for message in messages[place...] { other.apply(message) }
      #expect(other == fold)
    }
  }

  @Test func theLatestForOneOrForAllIsFound() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let (ada, bob) = (Summaries(hub: crowd.hubs[0]), Summaries(hub: crowd.hubs[1], pageLimit: 3))
      let none = try await bob.latest(on: Crowd.general).latest(for: Handle("bob"))
      #expect(none == nil)
      _ = try await ada.write("for all", scope: nil, on: Crowd.general)
      _ = try await ada.write("for bob", scope: Handle("bob"), on: Crowd.general)
      _ = try await ada.write("for carol", scope: Handle("carol"), on: Crowd.general)
      let found = try await bob.latest(on: Crowd.general)
      #expect(found.latest(for: Handle("bob"))?.text == "for bob" && found[nil]?.text == "for all")
      #expect(found.latest(for: Handle("dora"))?.text == "for all")
      for (text, scope) in [(" \n", "bob"), (String(repeating: "x", count: 20_000), "bob"), ("x", "system")] {
        await #expect(throws: HubError.self) { try await ada.write(text, scope: Handle(scope), on: Crowd.general) }
      }
      await #expect(throws: HubError.self) { try await ada.write("x", scope: nil, on: Topic("secret")) }
    }
  }

  /// 90 days on a store that keeps a week, with much talk in between.
  @Test(arguments: [7, 1000])
  func aSummaryOutlivesRetention(_ pageLimit: Int) throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let ada = Summaries(hub: crowd.hubs[0], pageLimit: pageLimit)
      _ = try await ada.write("all of it", scope: nil, on: Crowd.general)
      _ = try await ada.write("yours", scope: Handle("bob"), on: Crowd.general)
      for day in 0..<90 {
        await crowd.loop.sleep(for: .seconds(86_400))
        _ = try await crowd.hubs[1].post(PostRequest(topic: Crowd.general, content: "day \(day)"))
        crowd.store.expire(Crowd.general, olderThan: .seconds(7 * 86_400))
      }
      let later = try await Summaries(hub: crowd.hubs[1], pageLimit: pageLimit).latest(on: Crowd.general)
      #expect(later.all.map(\.text) == ["all of it", "yours"])
      #expect(later.all.allSatisfy { $0.by == Handle("ada") })
    }
  }
}
