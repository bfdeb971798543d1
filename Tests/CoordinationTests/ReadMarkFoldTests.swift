import ParleyRuntime
import Testing

@testable import ParleyCoordination

/// A message of bob's own topic; positions count from 1.
func event(
  _ position: Int, _ attributes: Attributes, content: String = "", sender: String = "bob",
  account: String? = nil, provenance: Provenance = .claimed
) -> Message {
  Message(
    topic: Topic("@bob"), sender: Handle(sender), account: account, provenance: provenance, content: content,
    timestamp: "", storedAt: Int64(position), id: MessageID("\(position)"), cursor: Cursor("\(position)"),
    attributes: attributes)
}

@Suite struct ReadMarkFoldTests {
  private func mark(_ position: Int, _ topic: String, _ cursor: String, _ storedAt: Int64) -> Message {
    let (content, attributes) = ReadMarkEvent.mark(
      Topic(topic), ReadMark(cursor: Cursor(cursor), storedAt: storedAt)
    ).message
    return event(position, attributes, content: content)
  }

  private func fold(_ messages: [Message]) -> ReadMarkFold {
    var fold = ReadMarkFold(owner: Handle("bob"))
    for message in messages { fold.apply(message) }
    return fold
  }

  @Test func whereAccountsAreTheHandleAloneDoesNotCount() {
    let attributes = ReadMarkEvent.mark(Topic("a"), ReadMark(cursor: Cursor("c"), storedAt: 1)).message.attributes
    let cases: [(account: String?, provenance: Provenance, counts: Bool)] = [
      ("@bob:x", .claimed, true), ("@eve:x", .claimed, false), (nil, .claimed, false),
      // Configuration ties that account to the handle.
      ("@bobs-phone:x", .verified, true),
    ]
    for (account, provenance, counts) in cases {
      var fold = ReadMarkFold(owner: Handle("bob"), account: "@bob:x")
      fold.apply(event(1, attributes, account: account, provenance: provenance))
      #expect(fold.marks.isEmpty != counts && fold.ignoredEvents == (counts ? 0 : 1), "\(String(describing: account))")
      var own = OwnFold(owner: Handle("bob"))
      own.setAccount("@bob:x")
      let status = OwnEvent.status("busy").message(by: Handle("bob")).attributes
      own.apply(event(1, status, account: account, provenance: provenance))
      #expect(own.state.status == (counts ? "busy" : nil), "\(String(describing: account))")
    }
  }

  @Test func everyEventComesBackFromItsMessage() throws {
    let marks = [
      Topic("a"): ReadMark(cursor: Cursor("sqlite.x.1"), storedAt: 5),
      Topic("odd \"\n\u{1F600}"): ReadMark(cursor: Cursor("c"), storedAt: 0),
    ]
    let events: [ReadMarkEvent] = [
      .mark(Topic("odd \"\n"), ReadMark(cursor: Cursor("c.1"), storedAt: .max)), .imported(marks), .imported([:]),
      .checkpoint(marks, hasImported: true, through: Cursor("t")),
      .checkpoint([:], hasImported: false, through: Cursor("t")),
    ]
    for original in events {
      let (content, attributes) = original.message
      #expect(try ReadMarkEvent(event(1, attributes, content: content)) == original)
    }
  }

  @Test func peopleCanReadAMark() {
    #expect(mark(1, "general", "1042", 3).content == "read general up to 1042")
  }

  @Test func aMarkNeverGoesBack() {
    let state = fold([mark(1, "a", "10", 100), mark(2, "a", "5", 50), mark(3, "b", "1", 1), mark(4, "a", "11", 100)])
    #expect(state.marks[Topic("a")] == ReadMark(cursor: Cursor("11"), storedAt: 100))
    #expect(state.marks[Topic("b")]?.cursor == Cursor("1"))
    #expect(state.marksSinceCheckpoint == 4 && state.ignoredEvents == 0)
  }

  @Test(arguments: [
    ["kind": "mark"], ["kind": "mark", "topic": "a", "cursor": "1"],
    ["kind": "mark", "topic": "a", "cursor": "1", "stored_at": "x"],
    ["kind": "mark", "topic": "a", "cursor": "1", "stored_at": "-1"],
    ["kind": "mark", "topic": "", "cursor": "1", "stored_at": "1"],
    ["kind": "mark", "topic": "a", "cursor": "", "stored_at": "1"],
    ["kind": "mark", "topic": "a", "cursor": "1", "stored_at": "1", "v": "2"],
    ["kind": "marks", "through": "1"], ["kind": "marks"], ["kind": "marks.import"], ["kind": "task.post"], [:],
  ])
  func whatIsNotUnderstoodChangesNothingAndIsCounted(_ attributes: Attributes) {
    for content in ["", "{", "{}", "[1]", #"[{"topic":"a"}]"#, #"[{"topic":"a","cursor":"9","stored_at":-1}]"#] {
      let state = fold([mark(1, "a", "3", 3), event(2, attributes, content: content)])
      #expect(state.marks == [Topic("a"): ReadMark(cursor: Cursor("3"), storedAt: 3)])
      #expect(state.ignoredEvents == 1 && !state.hasImported)
    }
  }

  @Test func whatSomebodyElsePostsChangesNothing() {
    var forged = mark(2, "a", "999", 999)
    forged.sender = Handle("mallory")
    let state = fold([mark(1, "a", "3", 3), forged])
    #expect(state.marks[Topic("a")]?.cursor == Cursor("3") && state.ignoredEvents == 1)
  }

  @Test func anImportFillsOnlyWhatIsMissing() {
    let (content, attributes) = ReadMarkEvent.imported([
      Topic("a"): ReadMark(cursor: Cursor("1"), storedAt: 0), Topic("b"): ReadMark(cursor: Cursor("2"), storedAt: 0),
    ]).message
    let state = fold([mark(1, "a", "3", 3), event(2, attributes, content: content)])
    #expect(state.marks.mapValues(\.cursor) == [Topic("a"): Cursor("3"), Topic("b"): Cursor("2")])
    #expect(state.hasImported)
  }
}
