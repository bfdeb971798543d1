import ParleyRuntime
import Testing

@testable import ParleyMCP

@Suite struct ResultBudgetTests {
  private func message(_ content: String) -> Message {
    Message(
      topic: Topic("t"), sender: Handle("s"), content: content, timestamp: "", storedAt: 0, id: MessageID("1"),
      cursor: Cursor("c"))
  }

  private func contents(_ budget: ResultBudget, reversed: Bool = false) throws -> [String?] {
    var writer = JSONWriter()
    writer.beginArray()
    budget.write(into: &writer, reversed: reversed)
    writer.endArray()
    return try JSONSlice(writer.bytes).elements.map { $0.member("content")?.string }
  }

  @Test func whatIsRefusedLeavesNothingBehind() throws {
    var budget = ResultBudget(12_000)
    let large = String(repeating: "x", count: 11_000)
    #expect(try contents(budget).isEmpty && budget.count == 0)
    #expect(budget.take(message("a")) && !budget.take(message(large)) && budget.take(message("b")))
    #expect(!budget.take(message(large)) && budget.count == 2)
    #expect(try contents(budget) == ["a", "b"])
    #expect(try contents(budget, reversed: true) == ["b", "a"])
  }

  @Test func onlyAFirstOneIsCut() throws {
    var budget = ResultBudget(12_000, messages: 2)
    let large = String(repeating: "x", count: 50_000)
    #expect(budget.take(message(large)) && !budget.take(message(large)) && budget.take(message("a")))
    let given = try #require(try contents(budget).first ?? nil)
    #expect(large.hasPrefix(given) && given.utf8.count > 1_000 && budget.size < 12_000)
    #expect(try contents(budget) == [given, "a"])
  }
}
