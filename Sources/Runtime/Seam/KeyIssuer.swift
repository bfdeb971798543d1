/// A backend whose other end gives keys to whoever asks for a handle that nobody has.
public protocol KeyIssuer: Backend {
  /// Asks for a key; `label` becomes its handle. The other end's status and JSON; throws where there was no answer.
  func issueKey(_ label: String, deadline: LoopInstant) async throws(SeamError) -> (status: Int, body: JSONValue)
}
