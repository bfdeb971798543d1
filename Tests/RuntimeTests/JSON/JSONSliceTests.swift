import ParleyRuntime
import Testing

@Suite struct JSONSliceTests {
  @Test(arguments: [
    "0", "1", "1.0", "9007199254740993", "123456789012345678901234567890", "\"a\\u0062\"", "null", "-0", "1e2",
  ])
  func echoesAnIDByteForByte(_ id: String) throws {
    let call = try JSONSlice("{\"jsonrpc\":\"2.0\", \"id\" : \(id) ,\"method\":\"ping\"}")
    let slice = try #require(call.member("id"))
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("id")
    writer.raw(slice)
    writer.endObject()
    #expect(writer.bytes == Array("{\"id\":\(id)}".utf8))
  }

  @Test func looksUpNestedMembers() throws {
    let call = try JSONSlice(
      #"{"id":1,"params":{"x":[{"name":"}"},"]"],"name":"t\u006fol\n","n":[1,-2,3.5,true,null]},"m\u0065thod":"call"}"#)
    #expect(call.member("params")?.member("name")?.string == "tool\n")
    #expect(call.member("method")?.isString("call") == true)
    #expect(call.member("method")?.isString("calls") == false)
    #expect(call.member("params")?.member("name")?.isString("tool\n") == true)
    #expect(call.member("name") == nil)
    #expect(call.member("id")?.member("id") == nil)
    let numbers = try #require(call.member("params")?.member("n")).elements.map { $0 }
    #expect(numbers.map(\.int) == [1, -2, nil, nil, nil])
    #expect(numbers.map(\.double) == [1, -2, 3.5, nil, nil])
    #expect(numbers.map(\.kind) == [.number, .number, .number, .bool, .null])
    #expect(call.members.map(\.name) == ["id", "params", "method"])
    let found = call.members(["method", "none", "id"])
    #expect(found[0]?.string == "call")
    #expect(found[1] == nil)
    #expect(found[2]?.int == 1)
  }

  /// Strings are read by blocks of sixteen bytes: what is special in one is found at every place.
  @Test func findsWhatIsSpecialAtEveryPlace() throws {
    for length in 0...50 {
      for place in 0...length {
        let (before, after) = (String(repeating: "a", count: place), String(repeating: "b", count: length - place))
        let escaped = try JSONSlice("[\"\(before)\\\"\(after)\",2]")
        #expect(escaped.elements.map { JSONValue($0) } == [.string("\(before)\"\(after)"), 2])
        let wide = try JSONSlice("{\"\(before)€\(after)\":{\"\(before)\":1},\"z\":3}")
        #expect(wide.member("\(before)€\(after)")?.member(before)?.int == 1 && wide.member("z")?.int == 3)
        for (byte, code): (UInt8, JSONError.Code) in [(0x1F, .controlCharacter), (0x80, .invalidUTF8)] {
          var text = Array("\"\(before)\(after)\"".utf8)
          text.insert(byte, at: place + 1)
          #expect(throws: JSONError(code, at: place + 1)) { try JSONSlice(text) }
        }
      }
    }
  }

  @Test func lastOfRepeatedKeysWins() throws {
    let slice = try JSONSlice(#"{"a":1,"b":2,"\u0061":3}"#)
    #expect(slice.member("a")?.int == 3)
    #expect(slice.members(["a"])[0]?.int == 3)
    #expect(slice.members.map(\.name) == ["a", "b", "a"])
    #expect(JSONValue(slice) == ["b": 2, "a": 3])
    #expect(JSONValue(slice).text == #"{"a":3,"b":2}"#)
  }

  @Test(arguments: [
    (#""\ud800""#, "\u{FFFD}", true), (#""\udfff!""#, "\u{FFFD}!", true), (#""\ud800\ud83d\ude00""#, "\u{FFFD}😀", true),
    (#""\ud800\u0041""#, "\u{FFFD}A", true), (#""\ud83d\ude00""#, "😀", false),
    (#""\udbff\udfff""#, "\u{10FFFF}", false),
    (#""\ud800\n""#, "\u{FFFD}\n", true), (#""\\ud800""#, "\\ud800", false),
  ])
  func replacesAndReportsLoneSurrogates(_ text: String, _ expected: String, _ isLone: Bool) throws {
    let slice = try JSONSlice(text)
    #expect(slice.string.map { Array($0.utf8) } == Array(expected.utf8))
    #expect(slice.hasLoneSurrogate == isLone)
  }

  @Test func tellsTheLimitsOfIntegers() throws {
    #expect(try JSONSlice("9223372036854775807").int == .max)
    #expect(try JSONSlice("-9223372036854775808").int == .min)
    #expect(try JSONSlice("9223372036854775808").int == nil)
    #expect(try JSONSlice("-0").int == nil)
    #expect(try JSONValue(parsing: "-9223372036854775809") == .number(#require(JSONNumber("-9223372036854775809"))))
    for text in ["", "1 ", "01", "1.2.3", "1,2", "\"1\"", "-"] { #expect(JSONNumber(text) == nil) }
    #expect(JSONNumber(Double.nan) == nil)
  }
}
