import COpenSSL
import ParleyRuntime

/// OpenSSL's digests, for protocols that authenticate by them (SASL SCRAM) or name things by them.
package enum Digest: Sendable {
  /// SHA-1 (FIPS 180-4): names, and SCRAM-SHA-1, whose strength does not rest on collisions (RFC 5802).
  case sha1
  /// SHA-256.
  case sha256

  private var algorithm: OpaquePointer? {
    switch self {
    case .sha1: unsafe EVP_sha1()
    case .sha256: unsafe EVP_sha256()
    }
  }

  /// The digest's length in bytes.
  package var length: Int {
    switch self {
    case .sha1: 20
    case .sha256: 32
    }
  }

  /// The digest of bytes.
  package func hash(_ bytes: [UInt8]) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: length)
    let result = unsafe EVP_Digest(bytes, bytes.count, &output, nil, algorithm, nil)
    precondition(result == 1, "OpenSSL has no memory")
    return output
  }

  /// HMAC (RFC 2104).
  package func authenticate(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: length)
    let result = unsafe HMAC(algorithm, key, CInt(key.count), bytes, bytes.count, &output, nil)
    precondition(unsafe result != nil, "OpenSSL has no memory")
    return output
  }

  /// PBKDF2 with HMAC (RFC 8018), which SCRAM calls Hi: blocking, about a millisecond for 10,000 rounds.
  package func derive(_ password: String, salt: [UInt8], rounds: Int) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: length)
    let result = unsafe PKCS5_PBKDF2_HMAC(
      password, CInt(password.utf8.count), salt, CInt(salt.count), CInt(clamping: rounds), algorithm, CInt(length),
      &output)
    precondition(result == 1, "OpenSSL has no memory")
    return output
  }
}

extension [UInt8] {
  /// Bytes of OpenSSL's random generator.
  package init(random count: Int) {
    self.init(repeating: 0, count: count)
    let result = unsafe RAND_bytes(&self, CInt(count))
    precondition(result == 1, "the system has no randomness")
  }

  /// Equal in constant time.
  package func isIdentical(to other: [UInt8]) -> Bool {
    guard count == other.count else { return false }
    return unsafe CRYPTO_memcmp(self, other, count) == 0
  }
}
