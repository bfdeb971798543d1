import ParleyRuntime

/// HMAC-SHA1 (RFC 2104), which Synapse asks of whoever registers users by its shared secret.
enum HMACSHA1 {
  /// The code of a text as 40 hexadecimal digits; keys of at most 64 bytes.
  static func hexadecimal(_ text: String, key: String) -> String {
    precondition(key.utf8.count <= 64, "longer keys would have to be hashed first")
    let padded = Array(key.utf8) + [UInt8](repeating: 0, count: 64 - key.utf8.count)
    let inner = SHA1.hash(padded.map { $0 ^ 0x36 } + Array(text.utf8))
    let alphabet = Array("0123456789abcdef")
    return String(
      SHA1.hash(padded.map { $0 ^ 0x5c } + inner).flatMap { [alphabet[Int($0 >> 4)], alphabet[Int($0 & 15)]] })
  }
}
