import CNats

/// The public half of an NKEY (https://github.com/nats-io/nkeys): base32 of a prefix, 32 bytes of Ed25519 and a CRC.
struct NKey: Hashable, Sendable {
  /// What the server knows the user by: `U…`.
  let publicText: String

  /// From a file that holds a user's seed (`SU…`), among other lines perhaps. Throws with what is wrong with it.
  init(seedFile path: String) throws(NATSFailure) {
    let lines = try KeyFile.read(path).split { $0.isWhitespace }
    guard let seed = lines.first(where: { $0.hasPrefix("SU") && $0.utf8.count == 58 }) else {
      throw NATSFailure(status: NATS_INVALID_ARG, text: "\(path) holds no user's NKEY seed (a line 'SU…')")
    }
    guard let key = NKey(seed: String(seed)) else {
      throw NATSFailure(status: NATS_INVALID_ARG, text: "the NKEY seed in \(path) is damaged")
    }
    self = key
  }

  /// From a seed's text; nil where its check sum or its kind is wrong.
  init?(seed: String) {
    guard let bytes = Base32.decode(seed), bytes.count == 36,
      Self.checksum(bytes.dropLast(2)) == Array(bytes.suffix(2)),
      bytes[0] & 0xf8 == Self.seedPrefix, let key = KeyFile.publicKey(ofSeed: Array(bytes[2..<34]))
    else { return nil }
    // The kind of key stands in the last three bits of the first byte and the first five of the second.
    let body = [bytes[0] << 5 | bytes[1] >> 3] + key
    publicText = Base32.encode(body + Self.checksum(body[...]))
  }

  private static let seedPrefix: UInt8 = 18 << 3

  /// CRC-16/XMODEM, low byte first.
  static func checksum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var crc: UInt16 = 0
    for byte in bytes {
      crc ^= UInt16(byte) << 8
      for _ in 0..<8 { crc = crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
    }
    return [UInt8(truncatingIfNeeded: crc), UInt8(truncatingIfNeeded: crc >> 8)]
  }
}

/// Base32 (RFC 4648 section 6) without padding.
enum Base32 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    var (bits, count): (UInt32, UInt32) = (0, 0)
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 8
      while count >= 5 {
        count -= 5
        text.append(alphabet[Int(bits >> count & 31)])
      }
    }
    if count > 0 { text.append(alphabet[Int(bits << (5 - count) & 31)]) }
    return String(decoding: text, as: UTF8.self)
  }

  static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var (bits, count): (UInt32, UInt32) = (0, 0)
    for character in text.utf8 {
      guard let value = alphabet.firstIndex(of: character) else { return nil }
      bits = bits << 5 | UInt32(value)
      count += 5
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> count))
      }
    }
    return bytes
  }
}
