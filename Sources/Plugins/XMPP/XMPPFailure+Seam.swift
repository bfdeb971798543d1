import ParleyRuntime

extension SeamError {
  /// A stanza's error (RFC 6120, section 8.3) as the seam tells it.
  init(stanza: XMLElement, operation: String) {
    let error = stanza.child("error", Namespace.client)
    let condition = error?.children.first { $0.namespace == Namespace.stanzaErrors && $0.name != "text" }?.name
    let text = error?.child("text", Namespace.stanzaErrors)?.text ?? ""
    let words = [condition ?? "an error without a condition", text].filter { !$0.isEmpty }.joined(separator: ": ")
    // What is refused for the moment (RFC 6120, section 8.3.2) and for too much of it: how long to wait is not told.
    let isBusy = error?["type"] == "wait" && ["policy-violation", "resource-constraint"].contains(condition)
    let code: SeamError.Code = isBusy ? .rateLimited(after: .seconds(1)) : Self.code(of: condition ?? "")
    self.init(code, operation: operation, cause: "the server answers \(words)")
  }

  private static func code(of condition: String) -> SeamError.Code {
    switch condition {
    case "forbidden", "not-allowed", "registration-required", "subscription-required": .forbidden
    case "not-authorized": .unauthorized
    case "item-not-found", "gone", "recipient-unavailable": .noSuchTopic
    case "feature-not-implemented", "service-unavailable": .unsupported
    case "policy-violation": .tooLarge(limit: nil)
    case "resource-constraint": .storageFull
    case "bad-request", "jid-malformed", "undefined-condition": .invalidRequest
    default: .unavailable
    }
  }

  /// A stream's error (RFC 6120, section 4.9), which ends it.
  init(stream error: XMLElement, operation: String) {
    let condition = error.children.first { $0.namespace == Namespace.streamErrors && $0.name != "text" }?.name
    let text = error.child("text", Namespace.streamErrors)?.text ?? ""
    let words = [condition ?? "no condition", text].filter { !$0.isEmpty }.joined(separator: ": ")
    let code: SeamError.Code =
      switch condition {
      case "host-unknown", "host-gone": .invalidRequest
      case "not-authorized": .unauthorized
      default: .unavailable
      }
    self.init(code, operation: operation, cause: "the server ends the stream: \(words)")
  }

  /// A refusal of SASL (RFC 6120, section 6.5).
  init(sasl failure: XMLElement, mechanism: String, account: String) {
    let condition =
      failure.children.first { $0.namespace == Namespace.sasl && $0.name != "text" }?.name ?? "no condition"
    let text = failure.child("text", Namespace.sasl)?.text ?? ""
    let words = [condition, text].filter { !$0.isEmpty }.joined(separator: ": ")
    let code: SeamError.Code = condition == "temporary-auth-failure" ? .unavailable : .unauthorized
    self.init(
      code, operation: "authenticate as \(account) by \(mechanism)", cause: "the server refuses: \(words)")
  }
}

extension XMLElement {
  /// The condition of a stanza's error.
  var errorCondition: String? {
    child("error", Namespace.client)?.children.first { $0.namespace == Namespace.stanzaErrors && $0.name != "text" }?
      .name
  }
}
