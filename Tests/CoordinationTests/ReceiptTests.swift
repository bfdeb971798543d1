import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyCoordination

@Suite struct ReceiptFoldTests {
  private static let general = Topic("general")

  private static func fold(_ recipient: String? = "bob", account: String? = nil) -> ReceiptFold {
    ReceiptFold(
      id: MessageID("m5"), topic: general, cursor: Cursor("5"), storedAt: 50, sender: Handle("ada"),
      recipient: recipient.map { Handle($0) }, account: account)
  }

  private static func message(
    _ text: EventText, by handle: String, on topic: Topic = Topic("@bob"), replyTo: String? = nil,
    at storedAt: Int64 = 60,
    cursor: String = "9"
  ) -> Message {
    Message(
      topic: topic, sender: Handle(handle), content: text.content, timestamp: "", storedAt: storedAt,
      id: MessageID("x\(cursor)"), cursor: Cursor(cursor), inReplyTo: replyTo.map { MessageID($0) },
      attributes: text.attributes)
  }

  private static func mark(_ cursor: String, _ storedAt: Int64, by handle: String = "bob") -> Message {
    message(ReadMarkEvent.mark(general, ReadMark(cursor: Cursor(cursor), storedAt: storedAt)).message, by: handle)
  }

  @Test func itComesFromStageToStage() {
    var fold = Self.fold()
    #expect(fold.stage == .stored)
    let pushed = OwnEvent.pushed(Self.general, [MessageID("m4"), MessageID("m5")]).message(by: Handle("bob"))
    fold.applyOwn(Self.message(pushed, by: "mallory"))
    #expect(fold.stage == .stored)
    fold.applyOwn(Self.message(pushed, by: "bob"))
    #expect(fold.stage == .pushed)
    fold.applyOwn(Self.mark("4", 40))
    fold.applyOwn(Self.mark("7", 70, by: "mallory"))
    #expect(fold.stage == .pushed)
    fold.applyOwn(Self.mark("7", 70))
    #expect(fold.stage == .seen)
    fold.applyTopic(Self.message(("no", [:]), by: "carol", on: Self.general, replyTo: "m5"))
    fold.applyTopic(Self.message(("me", [:]), by: "ada", on: Self.general, replyTo: "m5"))
    fold.applyTopic(Self.message(("other", [:]), by: "bob", on: Self.general, replyTo: "m4"))
    #expect(fold.stage == .seen)
    fold.applyTopic(Self.message(("yes", [:]), by: "bob", on: Self.general, replyTo: "m5"))
    #expect(fold.stage == .acted)
    fold.applyOwn(Self.message(pushed, by: "bob"))
    #expect(fold.stage == .acted)
  }

  /// Cursors are compared for equality alone, also within one time of the store.
  @Test func withinOneTimeTheLogDecides() {
    var exact = Self.fold()
    exact.applyOwn(Self.mark("5", 50))
    #expect(exact.stage == .seen)
    var before = Self.fold()
    before.applyOwn(Self.mark("4", 50))
    before.applyTopic(Self.message(("next", [:]), by: "carol", on: Self.general, at: 50, cursor: "6"))
    #expect(before.stage == .stored)
    var behind = Self.fold()
    behind.applyOwn(Self.mark("6", 50))
    #expect(behind.stage == .stored)
    behind.applyTopic(Self.message(("next", [:]), by: "carol", on: Self.general, at: 50, cursor: "6"))
    #expect(behind.stage == .seen)
    var later = Self.fold()
    later.applyTopic(Self.message(("next", [:]), by: "carol", on: Self.general, at: 50, cursor: "6"))
    later.applyOwn(Self.mark("6", 50))
    #expect(later.stage == .seen)
  }

  /// Where senders have accounts, the handle alone does not count.
  @Test func whoTakesTheRecipientsHandleSaysNothing() {
    let pushed = OwnEvent.pushed(Self.general, [MessageID("m5")]).message(by: Handle("bob"))
    let reply: EventText = ("yes", [:])
    let cases: [(account: String, provenance: Provenance, counts: Bool)] = [
      ("@bob:x", .claimed, true), ("@mallory:x", .claimed, false), ("@other:x", .verified, true),
    ]
    for (account, provenance, counts) in cases {
      func by(_ message: Message) -> Message {
        var message = message
        message.account = account
        message.provenance = provenance
        return message
      }
      var fold = Self.fold(account: "@bob:x")
      fold.applyOwn(by(Self.message(pushed, by: "bob")))
      #expect((fold.stage == .pushed) == counts, "\(account)")
      fold.applyOwn(by(Self.mark("7", 70)))
      #expect((fold.stage == .seen) == counts, "\(account)")
      fold.applyTopic(by(Self.message(reply, by: "bob", on: Self.general, replyTo: "m5")))
      #expect((fold.stage == .acted) == counts, "\(account)")
    }
    var bare = Self.fold(account: "@bob:x")
    bare.applyOwn(Self.mark("7", 70))
    #expect(bare.stage == .stored)
  }

  @Test func aCheckpointOfMarksCountsToo() {
    var fold = Self.fold()
    let marks = [Self.general: ReadMark(cursor: Cursor("8"), storedAt: 80)]
    fold.applyOwn(
      Self.message(
        ReadMarkEvent.checkpoint(marks, hasImported: false, through: Cursor("1")).message, by: "bob"))
    #expect(fold.stage == .seen)
  }

  @Test func withoutARecipientWhoeverRefersToItCounts() {
    var fold = Self.fold(nil)
    fold.applyOwn(Self.mark("7", 70))
    #expect(fold.stage == .stored)
    fold.applyTopic(
      Self.message(("claimed", ["kind": "task.claim"]), by: "carol", on: Self.general, replyTo: "m5"))
    #expect(fold.stage == .acted)
  }
}

@Suite struct ReceiptsTests {
  @Test func theSenderLearnsWhatBecameOfIt() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let (ada, bob) = (Receipts(hub: crowd.hubs[0]), Receipts(hub: crowd.hubs[1]))
      let marks = ReadMarks(hub: crowd.hubs[1])
      try await marks.load()
      let request = PostRequest(topic: Crowd.general, content: "look", to: Handle("bob"))
      let receipt = try await crowd.hubs[0].post(request)
      func wait(_ stage: ReceiptStage, _ seconds: Int = 30) async -> ReceiptStage {
        await ada.wait(
          for: stage, of: receipt, on: Crowd.general, recipient: Receipts.recipient(of: request),
          until: crowd.loop.now.advanced(by: .seconds(seconds)))
      }
      let early = await wait(.seen, 1)
      #expect(early == .stored)
      let waiting = crowd.loop.spawn { await wait(.pushed) }
      let page = try await crowd.hubs[1].fetch(FetchRequest(Crowd.general))
      let message = try #require(page.messages.last)
      await bob.notePushed(message)
      #expect(await waiting.value == .pushed)
      let seen = crowd.loop.spawn { await wait(.seen) }
      await crowd.settle()
      try await marks.mark(Crowd.general, at: page.next, storedAt: message.storedAt)
      #expect(await seen.value == .seen)
      // Whoever begins to wait afterwards learns it at once.
      let before = crowd.loop.now
      #expect(await wait(.seen) == .seen && crowd.loop.now == before)
      let acted = crowd.loop.spawn { await wait(.acted) }
      _ = try await crowd.hubs[1].post(
        PostRequest(topic: Crowd.general, content: "done", inReplyTo: receipt.id))
      #expect(await acted.value == .acted)
    }
  }

  @Test func onlyWhatTheSenderMayAskForIsNoted() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let bob = Receipts(hub: crowd.hubs[1])
      for (text, to) in [("plain", nil), ("for @bob", nil), ("directed", "bob"), ("@bobby", nil)] as [(String, String?)]
      {
        _ = try await crowd.hubs[0].post(
          PostRequest(topic: Crowd.general, content: text, to: to.map { Handle($0) }))
      }
      let page = try await crowd.hubs[1].fetch(FetchRequest(Crowd.general))
      for message in page.messages { await bob.notePushed(message) }
      await crowd.settle(3)
      let noted = crowd.store.history(of: Topic("@bob")).map(\.content)
      #expect(noted.count == 1)
      #expect(noted.first == #"{"ids":["\#(page.messages[1].id)","\#(page.messages[2].id)"]}"#)
    }
  }

  @Test func whoIsMeantIsClearOrNobody() throws {
    func recipient(_ text: String, to: String? = nil) -> String? {
      Receipts.recipient(of: PostRequest(topic: Crowd.general, content: text, to: to.map { Handle($0) }))?.name
    }
    #expect(recipient("x", to: "bob") == "bob" && recipient("@carol x", to: "bob") == "bob")
    #expect(recipient("@carol x") == "carol" && recipient("@carol @bob") == nil && recipient("x") == nil)
    let plain = PostRequest(topic: Crowd.general, content: "x")
    #expect(throws: HubError.self) { try Receipts.check(.seen, for: plain) }
    try Receipts.check(.acted, for: plain)
  }
}
