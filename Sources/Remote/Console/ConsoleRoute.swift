import ParleyHTTPServer

/// The console's addresses.
enum ConsoleRoute: String {
  case overview = "/console"
  case login = "/console/login"
  case topic = "/console/topic"
  case tasks = "/console/tasks"
  case approvals = "/console/approvals"
  case health = "/console/health"
  /// A stream that says when something changed.
  case events = "/console/events"
  case post = "/console/post"
  case read = "/console/read"
  case task = "/console/task"
  case approve = "/console/approve"
  case logout = "/console/logout"

  var methods: [HTTPMethod] {
    switch self {
    case .overview, .topic, .tasks, .approvals, .health, .events: [.get]
    case .login: [.get, .post]
    case .post, .read, .task, .approve, .logout: [.post]
    }
  }
}
