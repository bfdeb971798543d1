import ParleyHTTPClient
import ParleyRuntime

/// What a failure of the way to the door means for the seam.
enum ParleyFailure {
  /// `mayBeDone`: the request changes something, so that an answer that was lost leaves its outcome open.
  static func seam(_ failure: HTTPFailure, _ operation: String, mayBeDone: Bool) -> SeamError {
    let isOpen = mayBeDone && failure.mayHaveArrived
    let code: SeamError.Code =
      switch failure.code {
      case .cancelled: isOpen ? .outcomeUnknown : .cancelled
      case .timedOut: isOpen ? .outcomeUnknown : .timedOut
      case .invalidRequest: .invalidRequest
      case .responseTooLarge: .tooLarge(limit: nil)
      case .unreachable, .untrusted, .interrupted, .closed: isOpen ? .outcomeUnknown : .unavailable
      }
    return SeamError(code, native: failure.native, operation: operation, cause: failure.cause)
  }

  /// What an answer that is no success means: the door's own words where it has some.
  static func seam(status: Int, _ body: [UInt8], _ operation: String, mayBeDone: Bool) -> SeamError {
    if let json = try? JSONSlice(body), let error = json.member("error") {
      if let relayed = SeamError(relayed: error) { return relayed }
      let reason = error.member("message")?.string ?? "refused"
      switch status {
      case 401: return SeamError(.unauthorized, native: status, operation: operation, cause: reason)
      case 403: return SeamError(.forbidden, native: status, operation: operation, cause: reason)
      case 413: return SeamError(.tooLarge(limit: nil), native: status, operation: operation, cause: reason)
      default: break
      }
    }
    if status == 404 {
      return SeamError(
        .unsupported, native: status, operation: operation, cause: "no Parley door of this version answers there")
    }
    // A proxy in front of a door that is away; it may have passed the request on.
    return SeamError(
      mayBeDone && status >= 500 && status != 503 ? .outcomeUnknown : .unavailable, native: status,
      operation: operation, cause: "the door answers \(status)")
  }
}
