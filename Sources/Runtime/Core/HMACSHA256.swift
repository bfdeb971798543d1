/// HMAC-SHA-256 (RFC 2104), for short texts under a secret that two processes share.
///
/// SHA-256 here has no branch or look-up that depends on its input, so its time tells nothing of the secret.
public enum HMACSHA256 {
  private static let block = 64

  /// The 32 bytes of the code.
  public static func code(of text: String, key: String) -> [UInt8] {
    var key = Array(key.utf8)
    if key.count > block { key = SHA256.hash(key) }
    key += repeatElement(0, count: block - key.count)
    let inner = SHA256.hash(key.map { $0 ^ 0x36 } + Array(text.utf8))
    return SHA256.hash(key.map { $0 ^ 0x5c } + inner)
  }

  /// The code as 64 lower-case hexadecimal digits.
  public static func hexadecimal(of text: String, key: String) -> String {
    let digits = Array("0123456789abcdef")
    return String(code(of: text, key: key).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  /// Whether two codes are the same, in a time that does not tell where they differ.
  public static func areEqual(_ a: String, _ b: String) -> Bool {
    let (a, b) = (Array(a.utf8), Array(b.utf8))
    guard a.count == b.count else { return false }
    var difference: UInt8 = 0
    for index in a.indices { difference |= a[index] ^ b[index] }
    return difference == 0
  }
}
