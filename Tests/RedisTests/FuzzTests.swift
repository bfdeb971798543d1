import ParleyRuntime
import Testing

@testable import ParleyRedis

/// What others send may be anything: the parser and what reads its replies answer or refuse, and never crash.
@Suite struct FuzzTests {
  private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      // SplitMix64.
      state &+= 0x9e37_79b9_7f4a_7c15
      var z = state
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      return z ^ (z >> 31)
    }
  }

  private static let valid = [
    "*1\r\n*2\r\n$14\r\nparley:general\r\n*1\r\n*2\r\n$3\r\n5-1\r\n*4\r\n$6\r\nsender\r\n$3\r\nada\r\n$7\r\ncontent\r\n$2\r\nhi\r\n",
    "-MOVED 3999 127.0.0.1:6381\r\n", "$-1\r\n", "*-1\r\n", ":12\r\n", "+OK\r\n", "*0\r\n", "$0\r\n\r\n",
    "*4\r\n$6\r\nlength\r\n:1\r\n$17\r\nlast-generated-id\r\n$3\r\n5-1\r\n",
  ]

  /// Feeds bytes in pieces and reads everything that comes of it as every reader would.
  private func digest(_ bytes: [UInt8], _ random: inout Seeded) -> Int {
    guard let parser = RedisHandle() else { return 0 }
    var rest = bytes[...]
    var replies = 0
    do throws(RedisHandle.ProtocolFailure) {
      while !rest.isEmpty {
        let piece = Array(rest.prefix(Int.random(in: 1...max(1, rest.count), using: &random)))
        rest = rest.dropFirst(piece.count)
        try parser.feed(piece.span.bytes)
        var kept: RedisReply?
        while try parser.next({ view in
          let reply = view.copy
          kept = reply
          // Lent and kept are read alike.
          #expect(
            StoredEntry.message(view, on: Topic("x"))?.message == StoredEntry.message(reply, on: Topic("x"))?.message)
          #expect(view.streamID == reply.streamID)
          view.forEach { _ = StoredEntry.message($0, on: Topic("x")) }
          for index in 0..<min(view.count, 3) { #expect(view.node(index)?.copy == reply.elements[index]) }
        }), let reply = kept {
          replies += 1
          _ = StoredEntry.key(of: reply)
          do throws(RedisError) {
            _ = try StreamFacts(info: reply, generation: reply).loss(after: .after(.zero))
          } catch { _ = error.seamError("fuzz") }
          if case .error(let text) = reply { _ = RedisError(text).redirection }
        }
      }
    } catch {
      #expect(!error.text.isEmpty)
    }
    return replies
  }

  @Test(arguments: [1, 7, 1 << 20]) func repliesAreReadAsTheyWereSent(piece: Int) throws {
    let long = String(repeating: "long ", count: 2000)
    let expected: [(String, RedisReply)] = [
      ("+OK\r\n", .status("OK")), (":-12\r\n", .integer(-12)), ("-ERR x y\r\n", .error("ERR x y")), ("$-1\r\n", .null),
      ("*-1\r\n", .null), ("*0\r\n", .array([])), ("$0\r\n\r\n", .string("")), ("$2\r\n\r\n\r\n", .string("\r\n")),
      ("$\(long.utf8.count)\r\n\(long)\r\n", .string(long)),
      (
        "*3\r\n*2\r\n+a\r\n*2\r\n*0\r\n$-1\r\n:7\r\n*1\r\n*1\r\n*1\r\n$1\r\nb\r\n",
        .array([
          .array([.status("a"), .array([.array([]), .null])]), .integer(7), .array([.array([.array([.string("b")])])]),
        ])
      ),
      (
        "*500\r\n" + String(repeating: "*2\r\n:1\r\n$3\r\nabc\r\n", count: 500),
        .array(Array(repeating: .array([.integer(1), .string("abc")]), count: 500))
      ),
    ]
    guard let parser = RedisHandle() else {
      Issue.record("there is no memory")
      return
    }
    var read: [RedisReply] = []
    // Twice, so that the memory of the first round is used again.
    for _ in 0..<2 {
      var rest = Array(expected.map(\.0).joined().utf8)[...]
      while !rest.isEmpty {
        let next = Array(rest.prefix(piece))
        rest = rest.dropFirst(piece)
        try parser.feed(next.span.bytes)
        while try parser.next({ read.append($0.copy) }) {}
      }
    }
    #expect(read == expected.map(\.1) + expected.map(\.1))
  }

  @Test func mutationsOfValidReplies() {
    var random = Seeded(state: 1)
    var replies = 0
    for _ in 0..<20_000 {
      var bytes = (0..<3).flatMap { _ in Array(Self.valid.randomElement(using: &random)!.utf8) }
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(contentsOf: Array("*-9$:+\r\n".utf8).shuffled(using: &random).prefix(3), at: place)
        default: bytes[place] = UInt8(ascii: "0") + UInt8.random(in: 0...9, using: &random)
        }
        if bytes.isEmpty { break }
      }
      replies += digest(bytes, &random)
    }
    #expect(replies > 10_000)
  }

  @Test func randomBytesAndRandomTexts() {
    var random = Seeded(state: 2)
    let alphabet = Array("0123456789-^+.redis$*:\r\n%@/[]é".unicodeScalars)
    for _ in 0..<20_000 {
      let text = String(
        String.UnicodeScalarView(
          (0..<Int.random(in: 0...40, using: &random)).map { _ in
            alphabet.randomElement(using: &random)!
          }))
      _ = digest(Array(text.utf8), &random)
      _ = StreamID(text)
      if let place = try? LogPlace(Cursor(text)) { #expect((try? LogPlace(place.cursor)) == place, "\(text)") }
      _ = try? RedisURL(text)
      _ = try? RedisURL("redis://" + text)
      _ = RedisError(text).seamError("fuzz")
    }
  }
}
