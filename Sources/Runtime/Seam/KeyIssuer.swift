/// A backend whose other end gives keys to whoever asks for a handle that nobody has.
public protocol KeyIssuer: Backend {
  /// Whether it has no key of its own yet, so that to connect would be to ask for one.
  func lacksKey() async -> Bool

  /// Asks for a key; `label` becomes its handle. The other end's status and JSON; throws where there was no answer.
  func issueKey(_ label: String, deadline: LoopInstant) async throws(SeamError) -> (status: Int, body: JSONValue)
}
