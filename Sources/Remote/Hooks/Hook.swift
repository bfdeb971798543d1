import ParleyRuntime

/// An incoming webhook: what it is called, how its sender proves itself, and what becomes of what it sends.
package struct Hook: Sendable {
  /// How a request is signed.
  package enum Kind: String, Sendable, CaseIterable {
    /// `X-Hub-Signature-256: sha256=…` over the body, as GitHub does.
    case github
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature` over those and the body (Standard Webhooks 1.0).
    case standard
  }

  /// What stands in its path, `/hooks/name`.
  package var name: String
  package var topic: Topic
  package var kind: Kind
  package var secret: String
  package var template: HookTemplate
  /// Whom its messages come from.
  package var handle: Handle
  package var severity: String?
  package var source: String
  /// The longest body, in bytes.
  package var bodyLimit: Int

  package init(name: String, topic: Topic, kind: Kind, secret: String, template: String?) {
    self.name = name
    self.topic = topic
    self.kind = kind
    self.secret = secret
    self.template = HookTemplate(template ?? (kind == .github ? HookTemplate.github : "{@body}"))
    handle = Handle(name)
    source = name
    bodyLimit = 256 << 10
  }
}
