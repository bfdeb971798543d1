import ParleyRuntime

/// The requests that are served.
enum Method: String, CaseIterable {
  case initialize
  case discover = "server/discover"
  case ping
  case listTools = "tools/list"
  case callTool = "tools/call"
  case listResources = "resources/list"
  case listTemplates = "resources/templates/list"
  case readResource = "resources/read"
  case subscribe = "resources/subscribe"
  case unsubscribe = "resources/unsubscribe"
  case listen = "subscriptions/listen"
  case listPrompts = "prompts/list"
  case getPrompt = "prompts/get"
  case complete = "completion/complete"
  case getTask = "tasks/get"
  case updateTask = "tasks/update"
  case cancelTask = "tasks/cancel"

  init?(_ name: JSONSlice) {
    // By far the most frequent, told without making a string.
    if name.isString("tools/call") {
      self = .callTool
    } else if let name = name.string, let method = Method(rawValue: name) {
      self = method
    } else {
      return nil
    }
  }

  /// Whether a revision has the request.
  func exists(in revision: Revision) -> Bool {
    switch self {
    case .discover, .listen, .getTask, .updateTask, .cancelTask: revision.isModern
    case .initialize, .ping, .subscribe, .unsubscribe: !revision.isModern
    case .complete: revision >= .march2025
    default: true
    }
  }
}
