import ParleyRuntime
import Testing

@Suite struct JSONWriterTests {
  @Test func putsCommasBetweenValues() {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("a")
    writer.beginArray()
    writer.int(-12)
    writer.string("{[:,")
    writer.bool(true)
    writer.null()
    writer.beginObject()
    writer.endObject()
    writer.int(UInt64.max)
    writer.int(Int64.min)
    writer.endArray()
    writer.key("b")
    writer.string("")
    writer.endObject()
    writer.endLine()
    writer.int(0)
    #expect(
      String(decoding: writer.bytes, as: UTF8.self)
        == "{\"a\":[-12,\"{[:,\",true,null,{},18446744073709551615,-9223372036854775808],\"b\":\"\"}\n0")
    writer.removeAll()
    #expect(writer.bytes.isEmpty)
  }

  @Test func escapesWhateverCouldBreakALine() throws {
    for scalar in (0...0x2FFF).compactMap(Unicode.Scalar.init) + ["😀", "\u{FFFF}", "\u{10FFFF}"] {
      for text in ["\(scalar)", "1234567\(scalar)1234567\(scalar)", "\(scalar)\(scalar)x"] {
        let written = JSONValue.string(text).text
        #expect(JSONValue.string(text) == (try JSONValue(parsing: written)))
        let hasBreak = written.unicodeScalars.contains {
          $0.value < 0x20 || $0.value == 0x7F || $0.value == 0x2028 || $0.value == 0x2029
        }
        #expect(!hasBreak)
      }
    }
  }

  /// What is special is found wherever it stands: texts are looked at by blocks of sixteen bytes.
  @Test func escapesAtEveryPlace() throws {
    let specials = [
      "": "", "\"": "\\\"", "\\": "\\\\", "\n": "\\n", "\u{7F}": "\\u007f", "\u{2028}": "\\u2028", "—": "—",
    ]
    for length in Array(0...50) + [1020, 1023, 1024, 1025, 2047, 2050] {
      for place in 0...length where length < 100 || place % 100 == 0 || place > length - 20 {
        for (special, escaped) in specials {
          let (before, after) = (String(repeating: "a", count: place), String(repeating: "b", count: length - place))
          var writer = JSONWriter()
          writer.string(before + special + after)
          let expected = "\"" + before + escaped + after + "\""
          try #require(writer.bytes == Array(expected.utf8), "\(special.debugDescription) at \(place) of \(length)")
          #expect(try JSONValue(parsing: writer.bytes).string == before + special + after)
        }
      }
    }
  }

  @Test func writesNamesOfItsOwn() {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key(trusted: "a")
    writer.string("x")
    writer.key(trusted: "")
    writer.int(1)
    writer.endObject()
    #expect(writer.bytes == Array(#"{"a":"x","":1}"#.utf8))
  }

  @Test func keepsReceivedValuesOnOneLine() throws {
    var writer = JSONWriter()
    writer.beginArray()
    writer.raw(try JSONSlice("{\r\n\t\"a\":\"\u{2028}€\u{2029}\" }"))
    writer.raw(trusted: "1")
    writer.endArray()
    #expect(String(decoding: writer.bytes, as: UTF8.self) == "[{   \"a\":\"\\u2028€\\u2029\" },1]")
  }

  @Test func objectsKeepOrderAndCompareWithoutIt() {
    var object: JSONObject = ["b": 1, "a": nil, "b": [true]]
    #expect(JSONValue.object(object).text == #"{"b":[true],"a":null}"#)
    #expect(object == ["a": nil, "b": [true]])
    #expect(object.hashValue == (["a": nil, "b": [true]] as JSONObject).hashValue)
    #expect(object != ["a": nil, "b": [false]])
    object["b"] = nil
    object["c"] = "x"
    #expect(JSONValue.object(object).text == #"{"a":null,"c":"x"}"#)
    #expect((["é": 1, "e\u{301}": 2] as JSONObject).count == 2)
  }
}
