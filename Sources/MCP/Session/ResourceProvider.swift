import ParleyRuntime

/// What `resources/…` serves. The session pages the lists, keeps subscriptions and shapes results for each revision.
package protocol ResourceProvider: Sendable {
  /// The entries of `resources/list`, one JSON object each, always in the same order.
  func resources(for hub: Hub.Setup) -> [String]

  /// The entries of `resources/templates/list`, one JSON object each, always in the same order.
  func templates(for hub: Hub.Setup) -> [String]

  /// Reads a resource; cancelling the task ends it.
  func read(_ uri: String, in context: CallContext) async -> ResourceOutcome

  /// The topic whose messages change the resource; nil where there is no such resource, or no subscribed topic behind it.
  func topic(of uri: String, for hub: Hub.Setup) -> Topic?
}

/// What reading a resource brought.
package enum ResourceOutcome: Sendable {
  /// The JSON array of contents; never an empty one.
  case contents([UInt8])
  /// There is no such resource.
  case notFound
  /// The backend failed.
  case failure(HubError)
}
