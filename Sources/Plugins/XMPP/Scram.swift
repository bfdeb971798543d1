import ParleyRuntime
import ParleyTLS

/// One SCRAM authentication (RFC 5802, RFC 7677), as texts in and texts out.
struct Scram {
  let digest: Digest
  private let password: String
  private let nonce: String
  private let gs2: String
  private let firstBare: String
  private let binding: [UInt8]
  private var serverSignature: [UInt8]?

  /// More rounds than this would be a denial of service rather than a protection.
  private static let mostRounds = 10_000_000
  /// RFC 5802, section 5.1, asks for at least so many.
  private static let fewestRounds = 4096

  /// How the channel is bound (RFC 5802, section 6).
  enum Binding: Hashable {
    /// The server offers none, or none that we have.
    case absent
    /// We could, but the server does not offer it: it can tell whether somebody removed its offer.
    case possible
    /// `tls-exporter` (RFC 9266) with this data.
    case exporter([UInt8])
  }

  init(_ digest: Digest, username: String, password: String, nonce: String, binding: Binding) {
    self.digest = digest
    self.password = password
    self.nonce = nonce
    switch binding {
    case .absent: (gs2, self.binding) = ("n,,", [])
    case .possible: (gs2, self.binding) = ("y,,", [])
    case .exporter(let data): (gs2, self.binding) = ("p=tls-exporter,,", data)
    }
    var name = ""
    for character in username.unicodeScalars {
      switch character {
      case "=": name += "=3D"
      case ",": name += "=2C"
      default: name.unicodeScalars.append(character)
      }
    }
    firstBare = "n=\(name),r=\(nonce)"
  }

  /// What the client says first.
  var first: String { gs2 + firstBare }

  /// The client's proof, in answer to the server's first message. Throws `unauthorized` for one that breaks the rules.
  mutating func proof(for serverFirst: String) throws(SeamError) -> String {
    let fields = try Self.fields(serverFirst)
    guard let full = fields["r"], full.utf8.count > nonce.utf8.count, full.utf8.starts(with: nonce.utf8) else {
      throw Self.failure("the server's nonce does not continue ours")
    }
    guard let salt = fields["s"].flatMap(Base64.decode), let rounds = fields["i"].flatMap({ Int($0) }) else {
      throw Self.failure("the server's first message lacks a salt or a count")
    }
    guard (Self.fewestRounds...Self.mostRounds).contains(rounds) else {
      throw Self.failure("the server asks for \(rounds) rounds, acceptable are 4,096 to 10,000,000")
    }
    let header = Base64.encode(Array(gs2.utf8) + binding)
    let withoutProof = "c=\(header),r=\(full)"
    let message = Array("\(firstBare),\(serverFirst),\(withoutProof)".utf8)
    let salted = digest.derive(password, salt: salt, rounds: rounds)
    let clientKey = digest.authenticate(Array("Client Key".utf8), key: salted)
    let signature = digest.authenticate(message, key: digest.hash(clientKey))
    let serverKey = digest.authenticate(Array("Server Key".utf8), key: salted)
    serverSignature = digest.authenticate(message, key: serverKey)
    return withoutProof + ",p=" + Base64.encode(zip(clientKey, signature).map { $0 ^ $1 })
  }

  /// Checks that the server knows the password too. Throws `unauthorized` where it does not.
  func verify(_ serverFinal: String) throws(SeamError) {
    let fields = try Self.fields(serverFinal)
    if let error = fields["e"] { throw Self.failure("the server says \(error)") }
    guard let expected = serverSignature, let told = fields["v"].flatMap(Base64.decode), told.isIdentical(to: expected)
    else { throw Self.failure("the server does not prove that it knows the password: it may be an impostor") }
  }

  private static func fields(_ text: String) throws(SeamError) -> [String: String] {
    var found: [String: String] = [:]
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard part.utf8.count >= 2, part[part.index(after: part.startIndex)] == "=" else {
        throw failure("the server's message is malformed")
      }
      // RFC 5802, section 5.1: an extension that must be understood.
      guard part.first != "m" else { throw failure("the server demands an unknown extension") }
      found[String(part.prefix(1))] = String(part.dropFirst(2))
    }
    return found
  }

  private static func failure(_ cause: String) -> SeamError {
    SeamError(.unauthorized, operation: "authenticate", cause: cause)
  }
}

/// The mechanisms that are spoken, strongest first.
enum Mechanism: String, CaseIterable, Sendable {
  case scramSHA256Plus = "SCRAM-SHA-256-PLUS"
  case scramSHA256 = "SCRAM-SHA-256"
  case scramSHA1Plus = "SCRAM-SHA-1-PLUS"
  case scramSHA1 = "SCRAM-SHA-1"
  case plain = "PLAIN"

  var bindsChannel: Bool { self == .scramSHA256Plus || self == .scramSHA1Plus }

  var digest: Digest? {
    switch self {
    case .scramSHA256, .scramSHA256Plus: .sha256
    case .scramSHA1, .scramSHA1Plus: .sha1
    case .plain: nil
    }
  }

  /// The first of the wanted ones that the server offers; those that bind the channel only where it can be bound by
  /// `tls-exporter`.
  static func choose(wanted: [Mechanism], offered: [String], bindings: [String], hasExporter: Bool) -> Mechanism? {
    // XEP-0440: without the list of types, tls-exporter is only a guess, and a wrong one fails the authentication.
    let binds = hasExporter && bindings.contains("tls-exporter")
    return wanted.first { offered.contains($0.rawValue) && (!$0.bindsChannel || binds) }
  }
}
