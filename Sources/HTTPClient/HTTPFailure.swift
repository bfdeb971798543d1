/// Why there is no answer to a request.
public struct HTTPFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure it is; the only part that code may decide on.
  public enum Code: Hashable, Sendable {
    /// No connection came about: name, route, refusal, or time.
    case unreachable
    /// The server's certificate is not trusted, or TLS failed before a request was sent.
    case untrusted
    /// The connection ended before the answer was complete.
    case interrupted
    /// The deadline passed first.
    case timedOut
    /// The calling task was cancelled.
    case cancelled
    /// The answer is over the request's limit.
    case responseTooLarge
    /// URL or headers cannot be sent.
    case invalidRequest
    /// The client was closed.
    case closed
  }

  /// The kind of failure.
  public let code: Code
  /// The request, or part of it, may have reached the server: what it asked for may have been done.
  public let mayHaveArrived: Bool
  /// libcurl's own number, where it was libcurl that failed (CURLcode).
  public let native: Int?
  /// What went wrong, in words for people.
  public let cause: String

  /// Makes a failure.
  public init(_ code: Code, mayHaveArrived: Bool = false, native: Int? = nil, cause: String) {
    self.code = code
    self.mayHaveArrived = mayHaveArrived
    self.native = native
    self.cause = cause
  }

  public var description: String { native.map { "\(cause) (curl \($0))" } ?? cause }
}
