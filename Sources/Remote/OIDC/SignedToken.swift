import CJose
import ParleyRuntime
import Synchronization

/// A JWT (RFC 7519) whose signature is still to be checked.
package struct SignedToken: Sendable {
  /// The algorithms that are taken, each for one kind of key; whatever else a token names is refused before its
  /// signature is looked at (RFC 8725 section 3.1).
  enum Algorithm: String {
    case rs256 = "RS256"
    case ps256 = "PS256"
    case es256 = "ES256"
  }

  static let limit = 16 << 10

  let text: String
  let algorithm: Algorithm
  let keyID: String?

  /// Reads the header; nil where it is none, or asks for what is not taken.
  init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard text.utf8.count <= Self.limit, parts.count == 3,
      let bytes = Base64.decodeURL(String(parts[0])), let header = try? JSONValue(parsing: bytes, limit: 4096),
      header.object != nil, let algorithm = header["alg"]?.string.flatMap(Algorithm.init),
      // What a receiver must understand, and this one does not (RFC 7515 section 4.1.11), or a payload that is not
      // encoded (RFC 7797).
      header["crit"] == nil, header["b64"] == nil,
      ["JWT", "AT+JWT", "APPLICATION/AT+JWT", nil].contains(header["typ"]?.string?.uppercased())
    else { return nil }
    self.text = text
    self.algorithm = algorithm
    keyID = header["kid"]?.string
  }

  /// The claims, if the key signed them. The key set decides which key that is, never the token itself.
  func claims(by key: VerificationKey) -> JSONValue? {
    guard key.serves(algorithm), JoseLibrary.isLoaded else { return nil }
    var payload = [UInt8](repeating: 0, count: Self.limit)
    let length = unsafe parley_jws_verify(
      text, text.utf8.count, key.text, key.text.utf8.count, &payload, payload.count)
    guard length >= 0 else { return nil }
    return try? JSONValue(parsing: Array(payload.prefix(length)))
  }
}

/// One key of a JWK set (RFC 7517), as the library takes it.
package struct VerificationKey: Hashable, Sendable {
  private static let smallestModulus = 256

  let id: String?
  let text: String
  private let kind: String
  private let algorithm: String?

  /// Takes public RSA keys of 2048 bits and more, and EC keys on P-256, that are for signatures; nil for any other.
  init?(_ value: JSONValue) {
    guard value["use"]?.string ?? "sig" == "sig", let kind = value["kty"]?.string,
      value["key_ops"]?.array?.contains("verify") ?? true
    else { return nil }
    var members: JSONObject = ["kty": .string(kind)]
    switch kind {
    case "RSA":
      guard let modulus = value["n"]?.string, let exponent = value["e"]?.string,
        let bytes = Base64.decodeURL(modulus), bytes.drop(while: { $0 == 0 }).count >= Self.smallestModulus
      else { return nil }
      members["n"] = .string(modulus)
      members["e"] = .string(exponent)
    case "EC":
      guard value["crv"] == "P-256", let x = value["x"]?.string, let y = value["y"]?.string else { return nil }
      members["crv"] = "P-256"
      members["x"] = .string(x)
      members["y"] = .string(y)
    default: return nil
    }
    self.kind = kind
    id = value["kid"]?.string
    algorithm = value["alg"]?.string
    text = JSONValue.object(members).text
  }

  func serves(_ wanted: SignedToken.Algorithm) -> Bool {
    guard algorithm ?? wanted.rawValue == wanted.rawValue else { return false }
    return kind == (wanted == .es256 ? "EC" : "RSA")
  }
}

/// libcjose, loaded once.
package enum JoseLibrary {
  private static let failure = Mutex<String??>(nil)

  /// Why it cannot be had; nil where it is there.
  package static var problem: String? {
    failure.withLock { known in
      if let known { return known }
      let reason = unsafe parley_jose_load().map { unsafe String(cString: $0) }
      known = .some(reason)
      return reason
    }
  }

  static var isLoaded: Bool { problem == nil }
}
