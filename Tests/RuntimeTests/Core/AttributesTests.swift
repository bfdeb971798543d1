import ParleyRuntime
import Testing

@Suite struct AttributesTests {
  @Test func theyAreTheSameInWhateverOrderTheyCame() {
    let first: Attributes = ["b": "2", "a": "1", "c": nil]
    var second = Attributes([("a", "0"), ("b", "2"), ("a", "1")])
    #expect(first == second && first.hashValue == second.hashValue)
    #expect(first.map(\.key) == ["a", "b"])
    #expect(first["a"] == "1" && first["c"] == nil && first["c", default: "3"] == "3")
    second["0"] = "first"
    second["c"] = "last"
    second["a"] = nil
    second["z"] = nil
    #expect(second.map(\.key) == ["0", "b", "c"] && second["0"] == "first")
    second["b"] = "changed"
    #expect(second["b"] == "changed" && second.count == 3 && second != first)
  }

  /// Against a dictionary, with names that come in any order and again.
  @Test func theyAreAMap() {
    for _ in 0..<200 {
      var attributes = Attributes()
      var map: [String: String] = [:]
      var list: [Attributes.Element] = []
      for step in 0..<40 {
        let name = String(UInt8.random(in: 0..<16), radix: 2)
        let value = Bool.random() ? String(step) : nil
        attributes[name] = value
        map[name] = value
        if let value { list.append((name, value)) }
      }
      #expect(Dictionary(uniqueKeysWithValues: attributes.map { ($0.key, $0.value) }) == map)
      #expect(attributes.map(\.key) == map.keys.sorted())
      let last = Dictionary(list.map { ($0.key, $0.value) }) { $1 }
      #expect(Attributes(list).map(\.value) == last.sorted { $0.key < $1.key }.map(\.value))
    }
  }

  @Test func whatIsThereStaysWhenOthersAreAdded() {
    var attributes: Attributes = ["a": "own"]
    attributes.add(["a": "other", "b": "new"])
    #expect(attributes == ["a": "own", "b": "new"])
    #expect(attributes.filter { $0.key == "b" } == ["b": "new"])
  }

  @Test func theirTextIsAnObjectOfStrings() {
    let attributes: Attributes = ["kind": "note", "ключ": "a\"b\n🚀", "": ""]
    #expect(Attributes(json: attributes.json) == attributes)
    #expect(attributes.json == #"{"":"","kind":"note","ключ":"a\"b\n🚀"}"#)
    for text in ["", "x", "[]", #"{"a":1}"#, #"{"a":"b""#] { #expect(Attributes(json: text).isEmpty, "\(text)") }
  }
}
