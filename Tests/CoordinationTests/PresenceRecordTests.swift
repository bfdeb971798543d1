import ParleyRuntime
import Testing

@testable import ParleyCoordination

@Suite struct PresenceRecordTests {
  /// Captured from the TypeScript Parley.
  private static let captured =
    #"{"v":2,"kind":"hello","at":1795234240012,"topics":["ctx"],"postTopics":[],"instanceId":"9d3c1f60-0b7e-4d2a-8a56-6d6f1f6a2b11"}"#

  @Test func theBytesAreThoseOfTheOtherProgram() throws {
    let record = PresenceRecord(
      phase: .hello, at: 1_795_234_240_012, topics: ["ctx"], postTopics: [],
      instance: "9d3c1f60-0b7e-4d2a-8a56-6d6f1f6a2b11")
    #expect(record.text == Self.captured)
    #expect(PresenceRecord(Self.captured, storedAt: 1_795_234_240_020) == record)
  }

  @Test func whatWeAddComesBack() throws {
    var record = PresenceRecord(
      phase: .heartbeat, at: 5, topics: ["a", "b"], postTopics: ["ctx-.*"], instance: "i")
    record.party = .bot
    record.status = "busy \"now\""
    record.listens = .mentions
    record.lifetime = 1000
    record.holds = true
    record.answers = false
    #expect(PresenceRecord(record.text, storedAt: 5) == record)
    #expect(record.text.hasPrefix(#"{"v":2,"kind":"heartbeat","at":5,"topics":["a","b"],"postTopics":["ctx-.*"],"#))
  }

  @Test(arguments: [
    "", "hello", "[]", "null", #"{"v":1,"kind":"hello","at":1,"topics":[]}"#,
    #"{"v":"2","kind":"hello","at":1,"topics":[]}"#, #"{"v":2,"kind":"bye","at":1,"topics":[]}"#,
    #"{"v":2,"kind":"hello","topics":[]}"#, #"{"v":2,"kind":"hello","at":"1","topics":[]}"#,
    #"{"v":2,"kind":"hello","at":1e999,"topics":[]}"#, #"{"v":2,"kind":"hello","at":1}"#,
    #"{"v":2,"kind":"hello","at":1,"topics":["a",""]}"#, #"{"v":2,"kind":"hello","at":1,"topics":["a",7]}"#,
    #"{"v":2,"kind":"hello","at":400001,"topics":[]}"#,
  ])
  func whatTheOtherProgramRefusesIsRefused(_ text: String) {
    #expect(PresenceRecord(text, storedAt: 100_000) == nil)
  }

  @Test func oddPartsAreDropped() throws {
    let long = String(repeating: "x", count: 513)
    let many = (0..<70).map { "\"t\($0)\"" }.joined(separator: ",")
    let text =
      #"{"v":2,"kind":"hello","at":1.9,"topics":["\#(long)",\#(many)],"postTopics":[1],"instanceId":7,"#
      + #""party":"robot","listens":3,"status":"","ttlMs":-1,"holds":"yes","answers":0,"more":{}}"#
    let record = try #require(PresenceRecord(text, storedAt: 1))
    #expect(record.topics == (0..<64).map { "t\($0)" })
    #expect(record.postTopics.isEmpty && record.instance.isEmpty && record.at == 1)
    #expect(record.party == nil && record.listens == nil && record.status == nil && record.lifetime == nil)
    #expect(!record.holds && record.answers)
    let cut = PresenceRecord(
      #"{"v":2,"kind":"hello","at":1,"topics":[],"instanceId":"\#(long)"}"#, storedAt: 1)
    #expect(cut?.instance.count == 128)
  }

  @Test(arguments: [
    ("*", "", true), ("a*c", "abbbc", true), ("a*c", "abbbcd", false), ("?b*", "ab", true), ("*.x*", "a.xy", true),
    ("a.c", "abc", false), ("A", "a", false), ("", "", true), ("", "a", false), ("**a", "bba", true),
  ])
  func globs(_ pattern: String, _ text: String, _ matches: Bool) {
    #expect(Glob(pattern)?.matches(text) == matches)
  }

  @Test func globsTakeLinearTime() {
    let pattern = String(repeating: "*a", count: 128)
    #expect(Glob(pattern)?.matches(String(repeating: "a", count: 100_000) + "b") == false)
    #expect(Glob(String(repeating: "*", count: 257)) == nil)
  }
}
