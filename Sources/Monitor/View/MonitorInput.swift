import ParleyRuntime

/// What somebody asks of a monitor by a line that begins with `/`, or by any other, which is posted.
package enum MonitorInput: Hashable, Sendable {
  case post(String, to: Handle?)
  case taskPost(title: String)
  /// The named one, or the oldest open one of the topic.
  case claim(String?)
  case finish(String, Finish)
  /// Marks the topic as read.
  case markRead
  /// Nil for all.
  case topic(String?)
  case sender(Handle?)
  case unread
  case status(MonitorOptions.Status)
  case help
  case quit

  /// What becomes of a task that one holds, or posted.
  package enum Finish: Hashable, Sendable {
    case done(String)
    case fail(String)
    case release(String)
    case cancel(String)
  }

  /// One command for the help: how it is written, what it does, and whether it writes.
  struct Command: Sendable {
    let usage: String
    let meaning: String
    let writes: Bool
  }

  static let commands = [
    Command(usage: "TEXT", meaning: "posts to the topic; //… for a text that begins with /", writes: true),
    Command(usage: "/to HANDLE TEXT", meaning: "posts it for one handle", writes: true),
    Command(usage: "/task TITLE", meaning: "posts a task", writes: true),
    Command(usage: "/claim [ID]", meaning: "takes a task, or the oldest open one", writes: true),
    Command(usage: "/done ID [RESULT]", meaning: "says that it is done", writes: true),
    Command(usage: "/fail ID [REASON]", meaning: "says that it cannot be done", writes: true),
    Command(usage: "/release ID [REASON]", meaning: "gives it back", writes: true),
    Command(usage: "/cancel ID [REASON]", meaning: "withdraws a task of your own", writes: true),
    Command(usage: "/read", meaning: "marks the topic as read", writes: true),
    Command(usage: "/topic [NAME]", meaning: "shows a topic, or all", writes: false),
    Command(usage: "/from [HANDLE]", meaning: "shows what one says and is told, or everyone", writes: false),
    Command(usage: "/unread", meaning: "lists only topics with something unread, or all again", writes: false),
    Command(usage: "/status open|closed|all", meaning: "lists only these topics", writes: false),
    Command(usage: "/help", meaning: "shows this, Esc hides it", writes: false),
    Command(usage: "/quit", meaning: "ends", writes: false),
  ]

  static let keys = [
    ("Tab, Shift-Tab", "next topic, and back"), ("↑ ↓ PgUp PgDn", "scroll"),
    ("Esc", "back to the newest, clears the line"),
    ("Ctrl-R", "marks the topic as read"), ("Ctrl-L", "draws everything anew"), ("Ctrl-C", "ends"),
  ]

  /// Whether it changes anything for others.
  package var writes: Bool {
    switch self {
    case .post, .taskPost, .claim, .finish, .markRead: true
    case .topic, .sender, .unread, .status, .help, .quit: false
    }
  }

  /// Reads a line; the failure says what is wrong with it.
  package static func parse(_ line: String) -> Result<MonitorInput, MonitorInputProblem> {
    guard line.hasPrefix("/"), !line.hasPrefix("//") else {
      return .success(.post(line.hasPrefix("//") ? String(line.dropFirst()) : line, to: nil))
    }
    let (name, rest) = word(line.dropFirst())
    let (first, text) = word(rest)
    switch name {
    case "to" where !text.isEmpty: return .success(.post(String(text), to: Handle(String(first))))
    case "task" where !rest.isEmpty: return .success(.taskPost(title: String(rest)))
    case "claim" where text.isEmpty: return .success(.claim(first.isEmpty ? nil : String(first)))
    case "done" where !first.isEmpty: return .success(.finish(String(first), .done(String(text))))
    case "fail" where !first.isEmpty: return .success(.finish(String(first), .fail(String(text))))
    case "release" where !first.isEmpty: return .success(.finish(String(first), .release(String(text))))
    case "cancel" where !first.isEmpty: return .success(.finish(String(first), .cancel(String(text))))
    case "read" where rest.isEmpty: return .success(.markRead)
    case "topic": return .success(.topic(rest.isEmpty || rest == "all" ? nil : String(rest)))
    case "from": return .success(.sender(rest.isEmpty ? nil : Handle(String(rest))))
    case "unread" where rest.isEmpty: return .success(.unread)
    case "status":
      if let status = MonitorOptions.Status(rawValue: String(rest)) { return .success(.status(status)) }
    case "help": return .success(.help)
    case "quit", "q": return .success(.quit)
    default: break
    }
    let usage = commands.first { $0.usage.hasPrefix("/\(name) ") || $0.usage == "/\(name)" }?.usage
    return .failure(MonitorInputProblem(text: usage ?? "there is no command /\(name): see /help"))
  }

  private static func word(_ text: Substring) -> (first: Substring, rest: Substring) {
    let text = text.drop(while: \.isWhitespace)
    let first = text.prefix { !$0.isWhitespace }
    return (first, text[first.endIndex...].drop(while: \.isWhitespace))
  }
}

/// Why a line is no command.
package struct MonitorInputProblem: Error, Hashable {
  package let text: String
}
