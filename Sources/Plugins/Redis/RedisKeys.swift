/// Names of keys, and the cluster slots they fall into.
struct RedisKeys: Sendable {
  let prefix: String

  /// The stream of a topic: the prefix and the name, unchanged, as the TypeScript Parley has it.
  func stream(_ topic: String) -> String { prefix + topic }

  /// The marker that counts how often Parley created a stream.
  func generation(of stream: String) -> String { companion("~generation", of: stream) }

  /// Where a caller's key is remembered; `digest` stands for author and key.
  func ledger(of stream: String, digest: String) -> String { companion("~key", of: stream) + ":" + digest }

  /// A key beside the stream: inside the prefix, where `~` is reserved, and in the stream's slot.
  private func companion(_ kind: String, of stream: String) -> String {
    let slot = Self.slot(of: stream)
    let tagged = prefix + kind + ":{" + Self.hashed(stream) + "}:" + stream
    if Self.slot(of: tagged) == slot { return tagged }
    // Names with braces of their own: a number whose slot is the same.
    for number in 0... {
      let candidate = prefix + kind + ":{\(number)}:" + stream
      if Self.slot(of: candidate) == slot { return candidate }
      // A prefix that holds a whole tag decides every slot, so the first candidate fits; this ends by the pigeonhole.
      if number > 1 << 20 { break }
    }
    return tagged
  }

  /// The part of a key that is hashed: between the first `{` and the next `}`, where that is not empty.
  private static func hashed(_ key: String) -> String {
    guard let open = key.firstIndex(of: "{"),
      let close = key[key.index(after: open)...].firstIndex(of: "}"), close > key.index(after: open)
    else { return key }
    return String(key[key.index(after: open)..<close])
  }

  /// The slot of a key, 0 to 16,383 (Redis cluster specification, "Key distribution model").
  static func slot(of key: String) -> Int {
    // CRC16 of XMODEM.
    var crc: UInt16 = 0
    for byte in hashed(key).utf8 {
      crc ^= UInt16(byte) << 8
      for _ in 0..<8 { crc = crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
    }
    return Int(crc & 0x3fff)
  }
}
