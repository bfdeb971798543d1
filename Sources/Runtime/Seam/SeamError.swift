/// A failure of a backend operation (S9): a closed code, and what people need to understand it.
public struct SeamError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure it is; the only part that code may decide on.
  public enum Code: Hashable, Sendable {
    /// The backend cannot be reached or is not ready; nothing was done, trying again later may work.
    case unavailable
    /// The credentials are wrong, expired or revoked.
    case unauthorized
    /// The credentials are good, but do not permit this.
    case forbidden
    /// The topic does not exist and this operation does not create it.
    case noSuchTopic
    /// Content, attributes or a name are over what the backend carries (`limit` bytes), or cannot be carried.
    case tooLarge(limit: Int?)
    /// Disk, memory or quota of the store is exhausted.
    case storageFull
    /// The backend asks to wait this long.
    case rateLimited(after: Duration)
    /// The cursor is malformed or belongs to another backend.
    case cursorInvalid
    /// The key was used before with other content.
    case keyReused
    /// The message may or may not be stored; a retry with the same key is safe.
    case outcomeUnknown
    /// The deadline passed before anything was done: a post is not stored.
    case timedOut
    /// The caller cancelled before anything was done.
    case cancelled
    /// The backend cannot do this.
    case unsupported
    /// The request itself is wrong (NUL in text, a limit out of range).
    case invalidRequest
    /// The store is damaged, or is not what it should be.
    case corrupt
  }

  /// The kind of failure.
  public var code: Code
  /// The library's or server's own number (SQLite result code, errno, HTTP status), where there is one.
  public var native: Int?
  /// What was being done, for example `post` or `open /path`.
  public var operation: String
  /// What went wrong, in words for people; may contain text from the backend, never a secret.
  public var cause: String

  /// Makes an error.
  public init(_ code: Code, native: Int? = nil, operation: String, cause: String) {
    self.code = code
    self.native = native
    self.operation = operation
    self.cause = cause
  }

  public var description: String {
    let number = native.map { " (\($0))" } ?? ""
    return "\(code.name): \(operation): \(cause)\(number)"
  }
}

extension SeamError.Code {
  /// The stable name that results, JSON and logs carry.
  public var name: String {
    switch self {
    case .unavailable: "unavailable"
    case .unauthorized: "unauthorized"
    case .forbidden: "forbidden"
    case .noSuchTopic: "noSuchTopic"
    case .tooLarge: "tooLarge"
    case .storageFull: "storageFull"
    case .rateLimited: "rateLimited"
    case .cursorInvalid: "cursorInvalid"
    case .keyReused: "keyReused"
    case .outcomeUnknown: "outcomeUnknown"
    case .timedOut: "timedOut"
    case .cancelled: "cancelled"
    case .unsupported: "unsupported"
    case .invalidRequest: "invalidRequest"
    case .corrupt: "corrupt"
    }
  }

  /// Whether the same call may succeed later without anyone changing anything.
  public var isTransient: Bool {
    switch self {
    case .unavailable, .rateLimited, .outcomeUnknown, .timedOut: true
    default: false
    }
  }
}
