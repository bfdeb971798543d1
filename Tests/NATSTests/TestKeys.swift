import CNats
import Glibc
import ParleyRuntime

@testable import ParleyNATS

/// NKEYs and JWTs of a made-up operator, so that no tool has to make them.
enum TestKeys {
  /// A user's seed: a prefix, 32 fixed bytes and the check sum.
  static let seed = text(seedOf: [UInt8](repeating: 7, count: 32), kind: 20 << 3)
  static let operatorSeed = text(seedOf: [UInt8](repeating: 1, count: 32), kind: 14 << 3)
  static let accountSeed = text(seedOf: [UInt8](repeating: 2, count: 32), kind: 0)
  static let systemSeed = text(seedOf: [UInt8](repeating: 3, count: 32), kind: 0)
  static let strangerSeed = text(seedOf: [UInt8](repeating: 9, count: 32), kind: 20 << 3)

  static func publicKey(_ seed: String) -> String { NKey(seed: seed)?.publicText ?? "" }

  private static func text(seedOf bytes: [UInt8], kind: UInt8) -> String {
    let body = [(18 << 3) | kind >> 5, kind << 3] + bytes
    return Base32.encode(body + NKey.checksum(body[...]))
  }

  /// A JWT as NATS makes them: signed by an NKEY (https://github.com/nats-io/jwt).
  static func jwt(_ kind: String, subject: String, name: String, by seed: String, body: String = "") -> String {
    let header = base64URL(Array(#"{"typ":"JWT","alg":"ed25519-nkey"}"#.utf8))
    let claims =
      #"{"jti":"x","iat":1700000000,"iss":"\#(publicKey(seed))","name":"\#(name)","sub":"\#(subject)","#
      + #""nats":{\#(body)"type":"\#(kind)","version":2}}"#
    let signed = header + "." + base64URL(Array(claims.utf8))
    var signature: UnsafeMutablePointer<UInt8>?
    var count: CInt = 0
    // The library's base32 works once it is open. It signs with no operator's key: the same 32 bytes as a user's do.
    guard let raw = Base32.decode(seed), nats_Open(-1) == NATS_OK,
      nats_Sign(text(seedOf: Array(raw[2..<34]), kind: 20 << 3), signed, &signature, &count) == NATS_OK, let signature
    else { return "" }
    defer { free(signature) }
    return signed + "." + base64URL(Array(UnsafeBufferPointer(start: signature, count: Int(count))))
  }

  private static func base64URL(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    var text: [UInt8] = []
    var (bits, count): (UInt32, UInt32) = (0, 0)
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 8
      while count >= 6 {
        count -= 6
        text.append(alphabet[Int(bits >> count & 63)])
      }
    }
    if count > 0 { text.append(alphabet[Int(bits << (6 - count) & 63)]) }
    return String(decoding: text, as: UTF8.self)
  }
}
