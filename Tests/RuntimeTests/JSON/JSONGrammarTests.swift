import ParleyRuntime
import Testing

@Suite struct JSONGrammarTests {
  @Test(arguments: [
    "null", "true", " false ", "0", "-0", "1.0", "1e5", "-1.5E-10", "123456789012345678901234567890", "\"\"",
    "\"\\u0000\\/\\\"\\\\\\b\\f\\n\\r\\t\"", "\"é€😀\"", "\"\\ud83d\\ude00\"", "\"\u{7F}\u{2028}\"", "[]", "{}", "[ ]",
    "{ }",
    "[1,2]", "{\"a\":1}", "{\"a\":1,\"a\":2}", "\r\n\t {\"a\" : [ { } , [ ] ] }\n", "\u{FEFF}{}", "[[[[1]]]]",
    "{\"\":0}",
    "\"\\ud800\"", "\"\\udc00\\ud800\"",
  ])
  func accepts(_ text: String) throws {
    let value = try JSONValue(parsing: text)
    #expect(try JSONValue(parsing: value.text) == value)
  }

  @Test(
    arguments: [
      ("", .unexpectedEnd, 0), (" ", .unexpectedEnd, 1), ("nul", .unexpectedEnd, 3), ("nulL", .syntax, 3),
      ("tru e", .syntax, 3), ("01", .invalidNumber, 1), ("-", .unexpectedEnd, 1), ("-a", .invalidNumber, 1),
      ("+1", .syntax, 0), ("1.", .unexpectedEnd, 2), ("1.2.3", .invalidNumber, 3), (".5", .syntax, 0),
      ("1e", .unexpectedEnd, 2), ("1e+x", .invalidNumber, 3), ("0x1", .trailingBytes, 1), ("NaN", .syntax, 0),
      ("\"", .unexpectedEnd, 1), ("\"a\n\"", .controlCharacter, 2), ("\"\\x\"", .invalidEscape, 2),
      ("\"\\u12g4\"", .invalidEscape, 5), ("\"\\u12", .unexpectedEnd, 5), ("\"\\", .unexpectedEnd, 2),
      ("[1,]", .syntax, 3), ("[,1]", .syntax, 1), ("[1 2]", .syntax, 3), ("[1", .unexpectedEnd, 2),
      ("[1}", .syntax, 2), ("{\"a\"}", .syntax, 4), ("{\"a\":}", .syntax, 5), ("{\"a\":1,}", .syntax, 7),
      ("{1:2}", .syntax, 1),
      ("{a:1}", .syntax, 1), ("{\"a\":1]", .syntax, 6), ("]", .syntax, 0), ("1 2", .trailingBytes, 2),
      ("{}}", .trailingBytes, 2), ("'a'", .syntax, 0), ("// c\n1", .syntax, 0), ("\u{FEFF}", .unexpectedEnd, 3),
      ("\u{FEFF}\u{FEFF}1", .syntax, 3), ("\u{A0}1", .syntax, 0), ("[1]\u{0}", .trailingBytes, 3),
    ] as [(String, JSONError.Code, Int)])
  func refuses(_ text: String, _ code: JSONError.Code, _ offset: Int) {
    #expect(throws: JSONError(code, at: offset)) { try JSONSlice(text) }
  }

  @Test(
    arguments: [
      [0x80], [0xC0, 0xAF], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
      [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xE2, 0x28, 0xA1], [0xE2, 0x82], [0xF0, 0x80, 0x80, 0x80],
      [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF0, 0x9F, 0x98], [0xFE], [0xFF],
    ] as [[UInt8]])
  func refusesInvalidUTF8(_ bytes: [UInt8]) {
    for lead in ["\"", "\"123456789"] {
      #expect(throws: JSONError(.invalidUTF8, at: lead.utf8.count)) {
        try JSONSlice(Array(lead.utf8) + bytes + Array("\"".utf8))
      }
    }
  }

  @Test func boundsDepth() throws {
    func nested(_ count: Int) -> String { String(repeating: "[", count: count) + String(repeating: "]", count: count) }
    #expect(JSONValue(try JSONSlice(nested(64))).array?.count == 1)
    #expect(throws: JSONError(.depthExceeded, at: 64)) { try JSONSlice(nested(65)) }
    #expect(throws: JSONError(.depthExceeded, at: 64)) { try JSONValue(parsing: String(repeating: "[", count: 10_000)) }
    let objects = String(repeating: "{\"a\":", count: 10_000)
    #expect(throws: JSONError(.depthExceeded, at: 320)) { try JSONValue(parsing: objects) }
    #expect(throws: JSONError(.depthExceeded, at: 2)) { try JSONSlice(Array(nested(3).utf8), depth: 2) }
  }

  @Test func boundsLength() {
    #expect(throws: JSONError(.tooLong, at: 3)) { try JSONSlice(Array("1234".utf8), limit: 3) }
  }

  @Test func readsAPartOfABuffer() throws {
    let buffer = Array("garbage{\"id\": 7}\ngarbage".utf8)
    #expect(try JSONSlice(buffer, in: 7..<17).member("id")?.int == 7)
    #expect(throws: JSONError(.unexpectedEnd, at: 8)) { try JSONSlice(buffer, in: 7..<15) }
  }
}
