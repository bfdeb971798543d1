import ParleyRuntime
import Testing

@Suite struct SafeNameTests {
  @Test func knownDigests() {
    #expect(SHA1.hexadecimal("", digits: 40) == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
    #expect(SHA1.hexadecimal("abc", digits: 40) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    #expect(
      SHA1.hexadecimal(String(repeating: "a", count: 1_000_000), digits: 40)
        == "34aa973cd4c4daa4f61eeb2bdbad27316534016f")
  }

  @Test func namesAreFoldedAsTheTypeScriptParleyFoldsThem() {
    let allowed: (UInt16) -> Bool = { $0 < 0x80 && $0 != 0x2e && $0 != 0x2f }
    #expect(SafeName.fold("plain_name", allowed: allowed) == "plain_name")
    #expect(SafeName.fold("a.b/c", allowed: allowed) == "a_b_c-3f23e966f9")
    #expect(SafeName.fold("🦜", allowed: allowed).hasPrefix("__-"))
  }

  @Test func longNamesAreCutAndStayDistinct() {
    let stem = String(repeating: "n", count: 200)
    let (first, second) = (
      SafeName.fold(stem + "a", limit: 100) { _ in true }, SafeName.fold(stem + "b", limit: 100) { _ in true }
    )
    #expect(first.utf8.count == 100 && second.utf8.count == 100 && first != second)
  }
}
