import ParleyRuntime

/// Why a tool of another system refused a call: a stable code, a sentence, and the status that HTTP would have.
package struct Refusal: Error, Hashable, Sendable {
  /// As HTTP counts them.
  package var status: Int
  /// Stable.
  package var code: String
  /// For people.
  package var reason: String

  package init(_ status: Int, _ code: String, _ reason: String) {
    self.status = status
    self.code = code
    self.reason = reason
  }

  /// A failure below: of an argument, a limit, a task or the backend.
  init(_ error: HubError) {
    switch error {
    case .badArgument: self.init(422, "invalid_argument", error.description)
    case .overLimit: self.init(422, "content_too_large", error.description)
    case .topicNotAllowed, .handleNotAllowed: self.init(403, "forbidden", error.description)
    case .refused(let code, let reason): self.init(409, code, reason)
    case .seam(let failure): self.init(Self.status(of: failure.code), failure.code.name, error.description)
    }
  }

  private static func status(of code: SeamError.Code) -> Int {
    switch code {
    case .unavailable: 503
    case .timedOut, .outcomeUnknown: 504
    case .unauthorized: 401
    case .forbidden: 403
    case .noSuchTopic: 404
    case .tooLarge, .cursorInvalid: 422
    case .rateLimited: 429
    case .keyReused: 409
    case .storageFull: 507
    default: 500
    }
  }
}

/// Runs a body and turns failures from below into refusals.
func refusing<Value: Sendable>(
  isolation: isolated (any Actor)? = #isolation, _ body: () async throws(HubError) -> Value
) async throws(Refusal) -> Value {
  do throws(HubError) {
    return try await body()
  } catch {
    throw Refusal(error)
  }
}
