import ParleyHTTPClient
import ParleyRuntime

extension MatrixFailure {
  /// The failure as the seam tells it. What it means for a post's outcome is the caller's to say.
  func seamError(_ operation: String) -> SeamError {
    SeamError(seamCode, native: native, operation: operation, cause: cause)
  }

  private var native: Int? {
    switch self {
    case .transport(let failure): failure.native
    case .refused(let status, _, _, _, _): status
    case .malformed, .unsettled, .unauthorized: nil
    }
  }

  private var seamCode: SeamError.Code {
    switch self {
    case .transport(let failure):
      switch failure.code {
      case .timedOut: .timedOut
      case .cancelled: .cancelled
      case .responseTooLarge: .tooLarge(limit: nil)
      case .invalidRequest: .invalidRequest
      default: .unavailable
      }
    case .refused(let status, let code, _, let retryAfter, _):
      switch (code, status) {
      case ("M_LIMIT_EXCEEDED", _), (_, 429): .rateLimited(after: retryAfter ?? .milliseconds(500))
      case ("M_UNKNOWN_TOKEN", _), ("M_MISSING_TOKEN", _), (_, 401), ("M_USER_DEACTIVATED", _): .unauthorized
      case ("M_TOO_LARGE", _), (_, 413): .tooLarge(limit: EventWriter.contentLimit)
      case ("M_RESOURCE_LIMIT_EXCEEDED", _): .storageFull
      case ("M_FORBIDDEN", _), (_, 403), ("M_GUEST_ACCESS_FORBIDDEN", _): .forbidden
      case ("M_NOT_FOUND", _), (_, 404): .noSuchTopic
      case (_, 500...): .unavailable
      case ("M_UNRECOGNIZED", _): .unsupported
      default: .invalidRequest
      }
    case .malformed, .unsettled: .unavailable
    case .unauthorized: .unauthorized
    }
  }

  private var cause: String {
    switch self {
    case .transport(let failure): failure.description
    case .refused(_, let code, let message, _, _): message.isEmpty ? code : "\(code): \(message)"
    case .malformed(let what): "the homeserver's answer cannot be read: \(what)"
    case .unsettled(let why), .unauthorized(let why): why
    }
  }
}
