import CNats
import ParleyRuntime

/// A failure that cnats reports: its status and its text.
struct NATSFailure: Error, Hashable, Sendable {
  let status: natsStatus
  let text: String

  /// The failure as the seam tells it.
  func seamError(_ operation: String) -> SeamError {
    SeamError(seamCode, native: Int(status.rawValue), operation: operation, cause: cause)
  }

  private var seamCode: SeamError.Code {
    switch status {
    case NATS_CONNECTION_AUTH_FAILED: .unauthorized
    case NATS_NOT_PERMITTED: isAuthorization ? .unauthorized : .forbidden
    case NATS_SSL_ERROR, NATS_SECURE_CONNECTION_REQUIRED, NATS_SECURE_CONNECTION_WANTED: .unauthorized
    case NATS_MAX_PAYLOAD: .tooLarge(limit: nil)
    case NATS_NO_SERVER_SUPPORT: .unsupported
    case NATS_INVALID_ARG, NATS_ADDRESS_MISSING, NATS_INVALID_SUBJECT: .invalidRequest
    case NATS_ERR where isAuthorization: .unauthorized
    default: .unavailable
    }
  }

  /// The server's own words of a refusal to let us in; they are part of its protocol, without a number beside them.
  private var isAuthorization: Bool {
    ["authorization violation", "authentication", "user jwt", "account"].contains { text.lowercased().contains($0) }
  }

  private var cause: String {
    switch status {
    case NATS_NO_SERVER: "no server answers (\(text))"
    case NATS_SECURE_CONNECTION_WANTED: "TLS is configured, but the server does not offer it"
    case NATS_SECURE_CONNECTION_REQUIRED: "the server wants TLS (\(text))"
    case NATS_STALE_CONNECTION, NATS_CONNECTION_CLOSED, NATS_IO_ERROR: "the connection ended (\(text))"
    default: text
    }
  }

  /// The subject of a refused publish or subscription, as the server names it: `… for Publish to "a.b"`.
  var refusedSubject: String? {
    guard status == NATS_NOT_PERMITTED, let start = text.firstIndex(of: "\""),
      let end = text.lastIndex(of: "\""), start < end
    else { return nil }
    return String(text[text.index(after: start)..<end])
  }

  /// A subscription was refused, rather than a publish.
  var refusesSubscription: Bool { text.lowercased().contains("for subscription to") }
}

/// An error that a JetStream API reply carries: an HTTP-like code, the server's own number, a text.
struct JetStreamFailure: Error, Hashable, Sendable {
  let code: Int
  let number: Int
  let text: String

  /// The failure as the seam tells it. Numbers as in the server's `errors.json`.
  func seamError(_ operation: String) -> SeamError {
    SeamError(seamCode, native: number, operation: operation, cause: text)
  }

  var isStreamMissing: Bool { number == 10059 }
  var isConsumerMissing: Bool { number == 10014 }
  var isMessageMissing: Bool { number == 10037 || (number == 0 && code == 404) }
  /// A stream of this name exists, with another configuration than was asked for.
  var isNameTaken: Bool { number == 10058 }

  private var seamCode: SeamError.Code {
    switch number {
    case 10059: .noSuchTopic
    // Insufficient storage, memory or resources; account and stream limits; maximum messages or bytes.
    case 10002, 10023, 10027, 10028, 10047, 10077, 10120, 10122: .storageFull
    case 10054: .tooLarge(limit: nil)
    // JetStream off, for the server or the account; overlapping subjects; replicas without a cluster.
    case 10035, 10039, 10065, 10074, 10076: .unsupported
    case 10109, 10110: .forbidden
    // The same key is being stored by another connection right now.
    case 10158: .unavailable
    default:
      switch code {
      case 400: .invalidRequest
      case 401: .unauthorized
      case 403: .forbidden
      case 413: .tooLarge(limit: nil)
      default: .unavailable
      }
    }
  }
}
