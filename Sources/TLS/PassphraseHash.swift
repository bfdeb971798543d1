import COpenSSL
import ParleyRuntime

/// A passphrase as it is stored: scrypt (RFC 7914), which takes 64 MiB and a good part of a second for every guess.
///
/// Written `scrypt$N$r$p$salt$hash`, salt and hash in base 64 for addresses.
package enum PassphraseHash {
  private static let rounds: UInt64 = 1 << 16
  private static let blocks: UInt64 = 8
  private static let lanes: UInt64 = 1
  private static let memory: UInt64 = 192 << 20

  /// Hashes with a new salt; blocking, for a thread of its own.
  package static func make(_ passphrase: String) -> String {
    let salt = [UInt8](random: 16)
    guard let hash = derive(passphrase, salt, rounds, blocks, lanes, count: 32) else {
      preconditionFailure("OpenSSL cannot hash a passphrase")
    }
    return "scrypt$\(rounds)$\(blocks)$\(lanes)$\(Base64.encodeURL(salt))$\(Base64.encodeURL(hash))"
  }

  /// Whether it is the passphrase; blocking. False where the record is damaged, or asks for more than 192 MiB.
  package static func verify(_ passphrase: String, against record: String) -> Bool {
    let parts = record.split(separator: "$", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 6, parts[0] == "scrypt", let rounds = UInt64(parts[1]), let blocks = UInt64(parts[2]),
      let lanes = UInt64(parts[3]), (1...16).contains(lanes), (1...32).contains(blocks),
      let salt = Base64.decodeURL(parts[4]), let hash = Base64.decodeURL(parts[5]), hash.count >= 16,
      let found = derive(passphrase, salt, rounds, blocks, lanes, count: hash.count)
    else { return false }
    return found.isIdentical(to: hash)
  }

  private static func derive(
    _ passphrase: String, _ salt: [UInt8], _ rounds: UInt64, _ blocks: UInt64, _ lanes: UInt64, count: Int
  ) -> [UInt8]? {
    var output = [UInt8](repeating: 0, count: count)
    let result = unsafe EVP_PBE_scrypt(
      passphrase, passphrase.utf8.count, salt, salt.count, rounds, blocks, lanes, memory, &output, count)
    ERR_clear_error()
    return result == 1 ? output : nil
  }
}
