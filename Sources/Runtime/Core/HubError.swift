/// Why a call was refused or failed, above the seam; the one place that makes the text.
public enum HubError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The topic is neither configured nor matched by a pattern, or it is reserved.
  case topicNotAllowed(Topic)
  /// The handle may not be posted as.
  case handleNotAllowed(Handle)
  /// Text, a name or attributes are over a configured limit (bytes).
  case overLimit(what: String, bytes: Int, limit: Int)
  /// An argument cannot be used: which, and why.
  case badArgument(name: String, reason: String)
  /// A rule of a coordination part refuses it: a stable code, and why.
  case refused(code: String, reason: String)
  /// The backend failed.
  case seam(SeamError)

  public var description: String {
    switch self {
    case .topicNotAllowed(let topic): "topic not allowed: \"\(topic.name)\""
    case .handleNotAllowed(let handle): "may not post as \"\(handle.name)\": it is not in identity.may_post_as"
    case .overLimit(let what, let bytes, let limit): "\(what) too large: \(bytes) bytes, the limit is \(limit)"
    case .badArgument(let name, let reason): "\(name): \(reason)"
    case .refused(_, let reason): reason
    case .seam(let error): Self.text(of: error)
    }
  }

  /// The stable name that results and JSON carry.
  public var code: String {
    switch self {
    case .topicNotAllowed: "topicNotAllowed"
    case .handleNotAllowed: "handleNotAllowed"
    case .overLimit: "tooLarge"
    case .badArgument: "invalidRequest"
    case .refused(let code, _): code
    case .seam(let error): error.code.name
    }
  }

  private static func text(of error: SeamError) -> String {
    let outcome =
      switch error.code {
      case .outcomeUnknown: " (the message may or may not be stored; a retry with the same key is safe)"
      case .timedOut where error.operation == "post": " (the message was not stored)"
      default: ""
      }
    return "\(error.operation): \(error.cause)\(outcome)"
  }
}
