import Testing

@testable import ParleyConfiguration

@Suite struct YAMLTests {
  private func reason(_ text: String) -> String {
    do throws(YAMLError) {
      _ = try YAMLReader.read(Array(text.utf8))
      return "accepted"
    } catch {
      return "\(error.mark.line): \(error.reason)"
    }
  }

  @Test(arguments: [
    ("~", YAMLScalar.null), ("", .null), ("Null", .null), ("nUll", .string("nUll")), ("true", .boolean(true)),
    ("FALSE", .boolean(false)), ("yes", .string("yes")), ("on", .string("on")), ("12", .integer(12)),
    ("-7", .integer(-7)),
    ("+3", .integer(3)), ("007", .integer(7)), ("0o17", .integer(15)), ("0x1F", .integer(31)), ("0xZ", .string("0xZ")),
    ("1.5", .number(1.5)), (".5", .number(0.5)), ("1e3", .number(1_000)), ("-.inf", .number(-.infinity)),
    ("inf", .string("inf")), ("nan", .string("nan")), ("0x1p3", .string("0x1p3")), ("1_000", .string("1_000")),
    ("-", .string("-")), (".", .string(".")), ("1.2.3", .string("1.2.3")), ("0x-1", .string("0x-1")),
    ("99999999999999999999", .number(1e20)),
  ])
  func coreSchema(_ text: String, _ expected: YAMLScalar) { #expect(YAMLScalar(plain: text) == expected) }

  @Test func marksAndAliases() throws {
    let root = try #require(try YAMLReader.read(Array("a: &x [1, '2']\nb:\n  c: *x\n".utf8)))
    let c = try #require(root["b"]?.value["c"])
    #expect(c.mark == YAMLNode.Mark(line: 3, column: 3) && c.value.mark == YAMLNode.Mark(line: 3, column: 6))
    guard case .sequence(let items) = c.value.value, case .scalar("2", isPlain: false) = items[1].value else {
      Issue.record("the alias lost its target")
      return
    }
  }

  @Test func bounds() {
    let bomb =
      "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
      + zip("bcdefgh", "abcdefg").map { name, previous in
        "\(name): &\(name) [\(Array(repeating: "*\(previous)", count: 10).joined(separator: ","))]\n"
      }.joined()
    #expect(reason(bomb).hasSuffix("more than 100000 values, counting what aliases repeat"))
    #expect(reason(String(repeating: "[", count: 64) + String(repeating: "]", count: 64)) == "accepted")
    #expect(reason(String(repeating: "[", count: 65)) == "1: nested deeper than 64 levels")
    let deep = "a: &a \(String(repeating: "[", count: 40))\(String(repeating: "]", count: 40))\n"
    #expect(
      reason(deep + "b: \(String(repeating: "[", count: 30))*a\(String(repeating: "]", count: 30))\n")
        == "2: nested deeper than 64 levels")
    #expect(reason(String(repeating: "#", count: (1 << 20) + 1)) == "1: the file is larger than 1048576 bytes")
  }

  @Test(arguments: [
    ("&a [*a]", "1: no anchor &a is complete before this alias"),
    ("a: 1\n---\nb: 2\n", "2: a second document begins here"),
    ("? [1]\n: 2\n", "1: a key must be text"),
    ("a: !!binary x\n", "1: the tag tag:yaml.org,2002:binary has no meaning"),
    ("a: 1\na: 2\n", "2: the key \"a\" stands already in line 1"),
    ("a: 1\nb: \"\u{1}\"", "2: control characters are not allowed"),
    ("a: b: c\n", "1: mapping values are not allowed"),
  ])
  func refusals(_ text: String, _ expected: String) { #expect(reason(text).hasPrefix(expected), "\(reason(text))") }

  @Test func nothingIsNil() throws {
    #expect(try YAMLReader.read(Array("# only a comment\n".utf8)) == nil)
    #expect(try YAMLReader.read([]) == nil)
    #expect(throws: YAMLError.self) { try YAMLReader.read([0x61, 0x3A, 0x20, 0xFF]) }
  }
}
