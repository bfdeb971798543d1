import ParleyRuntime
import Testing

@testable import ParleySQLite

/// Many rows of one batch are added by one statement, and are what each would be by itself.
struct BatchTests {
  private static let unanswered = SeamError(.unavailable, operation: "post", cause: "no result")

  /// Commits the drafts as one batch; what each brought, in their order.
  private func commit(_ drafts: [Draft], to session: inout WriterSession) throws -> [Result<Receipt, SeamError>] {
    let loop = try EventLoop()
    let calls = drafts.map { draft in
      PostCall(PostOrder(draft: draft, isRetry: false), deadline: loop.now) { _ in }
    }
    var rest = calls[...]
    let slice = session.commit(&rest, now: 1_000)
    #expect(rest.isEmpty && slice.lost == nil)
    return calls.map { call in slice.results.first { $0.call === call }?.result ?? .failure(Self.unanswered) }
  }

  @Test func rowsKeepTheirOrderAndTheirTexts() throws {
    let folder = try TestFolder()
    var session = try WriterSession.open(folder.options)
    // Enough for several statements of many rows; what some rows have, their neighbours lack.
    let drafts = (1...70).map { number in
      var draft = draft("text \(number)", topic: Topic("t\(number % 3)"))
      if number % 5 == 0 { draft.to = Handle("to \(number)") }
      if number % 7 == 0 { draft.inReplyTo = MessageID("\(number)") }
      if number % 11 == 0 { draft.attributes = ["kind": "k\(number)"] }
      if number % 30 == 0 { draft.key = .chosen("key \(number)") }
      return draft
    }
    for round in 0..<2 {
      let receipts = try commit(drafts, to: &session).map { try $0.get() }
      // The second time the chosen keys are known.
      let fresh = receipts.filter { !$0.isDuplicate }
      #expect(fresh.count == (round == 0 ? 70 : 68))
      #expect(fresh.map(\.id.text) == (1...fresh.count).map { String($0 + 70 * round) })
    }
    let other = try OtherProgram(folder.database)
    let row = "content, topic, coalesce(recipient, '-'), coalesce(in_reply_to, '-'), coalesce(kind, '-')"
    for (index, draft) in drafts.enumerated() {
      let kind = draft.attributes["kind"] ?? "-"
      let wanted = [draft.content, draft.topic.name, draft.to?.name ?? "-", draft.inReplyTo?.text ?? "-", kind]
      #expect(
        try other.text("SELECT json_array(\(row)) FROM messages WHERE id = \(index + 1)")
          == "[" + wanted.map { "\"\($0)\"" }.joined(separator: ",") + "]")
    }
    let nonces = try other.text("SELECT count(DISTINCT nonce) FROM messages WHERE id <= 70")
    #expect(nonces == "68")
  }

  @Test func aRowAtFaultFailsAlone() throws {
    let folder = try TestFolder()
    var session = try WriterSession.open(folder.options)
    try OtherProgram(folder.database).run("CREATE UNIQUE INDEX once ON messages(content) WHERE content = 'once'")
    let drafts = (0..<40).map { number in draft(number == 5 || number == 20 ? "once" : "text \(number)") }
    let results = try commit(drafts, to: &session)
    for (index, result) in results.enumerated() {
      if index == 20 { #expect(throws: SeamError.self) { try result.get() } } else { _ = try result.get() }
    }
    let other = try OtherProgram(folder.database)
    #expect(try other.text("SELECT count(*) || ' ' || count(DISTINCT content) FROM messages") == "39 39")
  }
}
