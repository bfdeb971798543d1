import Foundation
import ParleyRuntime
import Testing

/// SplitMix64: the same seed gives the same run.
private struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

@Suite struct JSONFuzzTests {
  private static let scalars: [Unicode.Scalar] = [
    "a", "b", "\"", "\\", "\n", "\r", "\t", "\0", "/", "é", "€", "😀", "\u{2028}", "\u{7F}", "\u{FFFD}", "{", "]", ",",
    ":",
  ]

  private func text(_ random: inout Seeded) -> String {
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...20, using: &random) {
      text.append(Bool.random(using: &random) ? "x" : Self.scalars.randomElement(using: &random) ?? "y")
    }
    return String(text)
  }

  private func tree(_ depth: Int, _ random: inout Seeded) -> JSONValue {
    switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &random) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &random))
    case 2:
      return .int(Int64.random(in: Int64.min...Int64.max, using: &random) >> Int64.random(in: 0..<64, using: &random))
    case 3:
      let value = Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &random))
      return JSONNumber(value).map { .number($0) } ?? .null
    case 4, 5: return .string(text(&random))
    case 6: return .array((0..<Int.random(in: 0...5, using: &random)).map { _ in tree(depth - 1, &random) })
    default:
      var object = JSONObject()
      for _ in 0..<Int.random(in: 0...5, using: &random) { object[text(&random)] = tree(depth - 1, &random) }
      return .object(object)
    }
  }

  @Test func whatIsWrittenIsReadBack() throws {
    var random = Seeded(state: 1)
    for _ in 0..<5_000 {
      let value = tree(5, &random)
      let written = value.text
      let read = try JSONValue(parsing: written)
      #expect(read == value)
      #expect(read.hashValue == value.hashValue)
      #expect(read.text == written)
    }
  }

  private func exceedsDouble(_ value: JSONValue) -> Bool {
    switch value {
    case .number(let number):
      number.double.isInfinite
        || number.double.isZero && number.text.prefix { $0 != "e" && $0 != "E" }.contains { "1"..."9" ~= $0 }
    case .array(let elements): elements.contains(where: exceedsDouble)
    case .object(let object): object.members.contains { exceedsDouble($0.value) }
    default: false
    }
  }

  /// A refusal of a closing bracket right after a comma.
  private func isTrailingComma(_ bytes: [UInt8], _ error: JSONError) -> Bool {
    guard error.code == .syntax, bytes[error.offset] == UInt8(ascii: "]") || bytes[error.offset] == UInt8(ascii: "}")
    else { return false }
    return bytes[..<error.offset].last { !" \n\r\t".utf8.contains($0) } == UInt8(ascii: ",")
  }

  /// Foundation's reader is the reference. It is known to differ in these, and only these are left out: it takes a comma
  /// before a closing bracket, guesses UTF-16 and UTF-32 from NULs in the first four bytes, and refuses numbers outside a
  /// double's range and half surrogates in escapes.
  private func reference(_ bytes: [UInt8]) -> Bool {
    (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil
  }

  @Test func agreesWithTheReferenceOnMutations() {
    var random = Seeded(state: 2)
    let alphabet =
      Array("{}[]\",:\\/ubnrt0123456789.eE+-truefalsn \n\t".utf8) + [0, 0x1F, 0x80, 0xC3, 0xA9, 0xED, 0xF0, 0xFF]
    var accepted = 0
    var refused = 0
    for _ in 0..<1_000 {
      let seed = Array(tree(3, &random).text.utf8.prefix(200))
      for _ in 0..<200 {
        var bytes = seed
        for _ in 0..<Int.random(in: 1...3, using: &random) {
          let place = Int.random(in: 0...bytes.count, using: &random)
          let byte = alphabet.randomElement(using: &random) ?? 0
          switch Int.random(in: 0..<3, using: &random) {
          case 0: bytes.insert(byte, at: place)
          case 1 where place < bytes.count: bytes[place] = byte
          case 2 where place < bytes.count: bytes.remove(at: place)
          default: break
          }
        }
        let slice: JSONSlice?
        do {
          slice = try JSONSlice(bytes)
        } catch {
          if bytes.prefix(4).contains(0) || isTrailingComma(bytes, error) { continue }
          slice = nil
        }
        if let slice, slice.hasLoneSurrogate || exceedsDouble(JSONValue(slice)) { continue }
        if slice == nil { refused += 1 } else { accepted += 1 }
        let expected = reference(bytes)
        if (slice != nil) != expected {
          Issue.record("reference says \(expected): \(bytes) \(String(decoding: bytes, as: UTF8.self))")
        }
      }
    }
    #expect(accepted > 2_000 && refused > 2_000)
  }

  @Test func survivesRandomBytes() throws {
    var random = Seeded(state: 3)
    let alphabet = Array("{}[]\",:\\ud80eE+-.019tn ".utf8) + [0x80, 0xC3, 0xE2, 0xFF]
    for _ in 0..<200_000 {
      let bytes = (0..<Int.random(in: 0...24, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
      guard let slice = try? JSONSlice(bytes) else { continue }
      let value = JSONValue(slice)
      #expect(try JSONValue(parsing: value.text) == value)
    }
  }
}
