import ParleyRuntime

/// What `prompts/…` serves.
package protocol PromptProvider: Sendable {
  /// The entries of `prompts/list`, one JSON object each, always in the same order.
  func prompts(for hub: Hub.Setup) -> [String]

  /// Makes a prompt; `arguments` is an object where the client gave any. Cancelling the task ends it.
  func get(_ name: String, _ arguments: JSONSlice?, in context: CallContext) async -> PromptOutcome
}

/// What getting a prompt brought.
package enum PromptOutcome: Sendable {
  /// The members of the result (`description`, `messages`), as JSON without the enclosing braces.
  case success(members: [UInt8])
  /// There is no such prompt.
  case notFound
  /// An argument is missing or wrong; why, for people.
  case badArguments(String)
  /// The backend failed.
  case failure(HubError)
}
