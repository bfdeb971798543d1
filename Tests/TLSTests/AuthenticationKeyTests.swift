import ParleyTLS
import Testing

/// The code by a prepared key is HMAC-SHA256.
@Suite struct AuthenticationKeyTests {
  /// RFC 4231, test cases 1 and 6: a short key, and one longer than a block.
  @Test(arguments: [
    (20, UInt8(0x0b), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
      131, UInt8(0xaa), "Test Using Larger Than Block-Size Key - Hash Key First",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    ),
  ]) func knownCodes(_ length: Int, _ byte: UInt8, _ text: String, _ code: String) {
    let key = AuthenticationKey([UInt8](repeating: byte, count: length))
    // The second time shows that the first left the key as it was.
    for _ in 0..<2 {
      let found = key.code(Array(text.utf8)).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
      #expect(found.joined() == code)
    }
  }

  @Test func agreesWithTheOneShotFunction() {
    for length in [0, 1, 32, 63, 64, 65, 200] {
      let key = [UInt8](repeating: 7, count: length)
      let bytes = (0..<length * 3).map { UInt8(truncatingIfNeeded: $0) }
      #expect(AuthenticationKey(key).code(bytes) == Digest.sha256.authenticate(bytes, key: key))
    }
  }
}
