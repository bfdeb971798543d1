import ParleyHTTPClient
import ParleyRuntime

/// A request to the homeserver that did not do what it should.
enum MatrixFailure: Error, Hashable, Sendable {
  /// There is no answer.
  case transport(HTTPFailure)
  /// The server refused: HTTP status, `errcode` and `error` of the standard error response, `retry_after_ms`.
  case refused(status: Int, code: String, message: String, retryAfter: Duration?, softLogout: Bool)
  /// The answer is not what the specification says.
  case malformed(String)
  /// What is there cannot be used yet; a later attempt may find it changed.
  case unsettled(String)
  /// There are no credentials that work, and none can be had.
  case unauthorized(String)

  /// The server's `errcode`, where it answered.
  var code: String? {
    if case .refused(_, let code, _, _, _) = self { code } else { nil }
  }

  /// The HTTP status, where the server answered.
  var status: Int? {
    if case .refused(let status, _, _, _, _) = self { status } else { nil }
  }

  /// What the request asked for may have been done all the same.
  var mayHaveHappened: Bool {
    switch self {
    case .transport(let failure): failure.mayHaveArrived
    // A proxy in front of a homeserver answers 502, 503 or 504 for a server that may have done it.
    case .refused(let status, _, _, _, _): status >= 500
    case .malformed: true
    case .unsettled, .unauthorized: false
    }
  }

  /// The connection, not the request, is at fault: the session is over.
  var endsSession: Bool {
    switch self {
    case .transport(let failure):
      switch failure.code {
      case .cancelled, .closed, .invalidRequest, .responseTooLarge: false
      default: true
      }
    case .refused(let status, _, _, _, _): status >= 500
    case .malformed, .unsettled: false
    case .unauthorized: true
    }
  }
}
