import CNats
import Glibc

/// What an NKEY needs of the system and of libcrypto.
enum KeyFile {
  /// The text of a small file; throws with the system's reason.
  static func read(_ path: String) throws(NATSFailure) -> String {
    guard let file = unsafe fopen(path, "re") else {
      throw NATSFailure(status: NATS_INVALID_ARG, text: "\(path): \(unsafe String(cString: strerror(errno)))")
    }
    defer { unsafe fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe fread(&buffer, 1, buffer.count, file)
    defer { unsafe OPENSSL_cleanse(&buffer, buffer.count) }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }

  /// The Ed25519 public key of a seed of 32 bytes; nil where libcrypto refuses.
  static func publicKey(ofSeed seed: [UInt8]) -> [UInt8]? {
    guard seed.count == 32 else { return nil }
    var key = [UInt8](repeating: 0, count: 32)
    return unsafe parley_ed25519_public(seed, &key) == 1 ? key : nil
  }
}
