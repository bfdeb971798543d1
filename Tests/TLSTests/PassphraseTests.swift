import ParleyRuntime
import ParleyTLS
import Testing

/// Passphrases as they are kept.
@Suite struct PassphraseTests {
  @Test func onlyThePassphraseFits() {
    let record = PassphraseHash.make("correct horse ä")
    #expect(record.hasPrefix("scrypt$65536$8$1$") && !record.contains("horse"))
    #expect(PassphraseHash.verify("correct horse ä", against: record))
    #expect(!PassphraseHash.verify("correct horse a", against: record))
    #expect(PassphraseHash.make("correct horse ä") != record, "a salt of its own")
    // What is damaged, or would take all memory, fits nothing.
    for broken in [
      "", "scrypt$65536$8$1$", record + "$", record.replacing("65536", with: "65535"),
      record.replacing("$65536$", with: "$1073741824$"), record.replacing("scrypt", with: "argon2"),
    ] { #expect(!PassphraseHash.verify("correct horse ä", against: broken), "\(broken)") }
  }

  /// RFC 7914 section 12.
  @Test func isScrypt() {
    let hash =
      "_bq-HJ00cgB4VucZDQHp_nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG_xCSedmDDaxyevuUqD7m2DYMvfoswGQA"
    let salt = Base64.encodeURL(Array("NaCl".utf8))
    #expect(PassphraseHash.verify("password", against: "scrypt$1024$8$16$\(salt)$\(hash)"))
  }

  @Test func base64IsStrict() {
    for count in 0..<40 {
      let bytes = [UInt8](random: count)
      #expect(Base64.decode(Base64.encode(bytes)) == bytes && Base64.decodeURL(Base64.encodeURL(bytes)) == bytes)
    }
    for text in ["a", "ab", "YQ=", "YR==x", "-_8=", "Y Q="] { #expect(Base64.decode(text) == nil, "\(text)") }
    for text in ["a", "YQ==", "+/8", "YR"] { #expect(Base64.decodeURL(text) == nil, "\(text)") }
  }
}
