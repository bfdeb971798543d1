import ParleyRuntime
import ParleyTLS

/// The secret from which everything that the server vouches for gets its code (HMAC-SHA256).
package struct ServerKey: Sendable {
  static let bytes = 32
  private let keys: [Purpose: AuthenticationKey]

  package init(_ secret: [UInt8]) {
    let pairs = Purpose.allCases.map { purpose in
      (purpose, AuthenticationKey(Digest.sha256.authenticate(Array(purpose.rawValue.utf8), key: secret)))
    }
    keys = Dictionary(uniqueKeysWithValues: pairs)
  }

  /// What a code is for, so that none can stand for another.
  package enum Purpose: String, Sendable, CaseIterable {
    case record, registration, consent, clientSecret, refresh, message, console
  }

  /// The code of some bytes.
  package func code(_ bytes: [UInt8], for purpose: Purpose) -> [UInt8] {
    guard let key = keys[purpose] else { preconditionFailure("every purpose has a key") }
    return key.code(bytes)
  }

  /// A text that comes back only as it was: base 64 of it, a dot, base 64 of its code.
  package func seal(_ text: String, for purpose: Purpose) -> String {
    let bytes = Array(text.utf8)
    return Base64.encodeURL(bytes) + "." + Base64.encodeURL(code(bytes, for: purpose))
  }

  /// What was sealed; nil where it is not from this server, or for another purpose.
  package func open(_ sealed: some StringProtocol, for purpose: Purpose) -> String? {
    let parts = String(sealed).split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, let bytes = Base64.decodeURL(parts[0]), let given = Base64.decodeURL(parts[1]),
      given.isIdentical(to: code(bytes, for: purpose))
    else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }
}

extension ServerKey {
  /// A refresh token that names its grant, so that it is known again long after it was replaced.
  package func makeRefresh(of grant: String) -> String {
    let random = Base64.encodeURL([UInt8](random: 32))
    return Secret.refresh.rawValue + [random, grant, refreshCode(random, grant)].joined(separator: ".")
  }

  /// The grant of a refresh token of this server; nil for any other text.
  package func grant(ofRefresh token: String) -> String? {
    guard token.hasPrefix(Secret.refresh.rawValue) else { return nil }
    let parts = token.dropFirst(Secret.refresh.rawValue.count).split(separator: ".", omittingEmptySubsequences: false)
      .map(String.init)
    guard parts.count == 3, Array(parts[2].utf8).isIdentical(to: Array(refreshCode(parts[0], parts[1]).utf8)) else {
      return nil
    }
    return parts[1]
  }

  private func refreshCode(_ random: String, _ grant: String) -> String {
    Base64.encodeURL(Array(code(Array((random + "." + grant).utf8), for: .refresh).prefix(16)))
  }
}

/// What the server gives out for others to keep.
package enum Secret: String, Sendable {
  case access = "parley_at_"
  case refresh = "parley_rt_"
  case code = "parley_ac_"
  case token = "parley_st_"
  case login = "parley_lg_"

  /// 256 bits of randomness behind a beginning by which scanners of leaked secrets know it.
  package func make() -> String { rawValue + Base64.encodeURL([UInt8](random: 32)) }

  /// What is kept of it: enough entropy goes in for a fast digest to be safe.
  package static func digest(_ secret: String) -> String {
    Base64.encodeURL(Digest.sha256.hash(Array(secret.utf8)))
  }

  /// A short random name, for what is no secret.
  package static func makeID() -> String {
    [UInt8](random: 5).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}
