import ParleyRuntime

/// Why an event about a task changed nothing: the same for every reader of the log.
public enum TaskRefusal: Hashable, Sendable {
  /// No task of that name is open here (any more).
  case unknown(String)
  /// Several tasks begin so.
  case ambiguous(String)
  /// The id is in use.
  case idInUse(TaskID)
  /// There are as many open tasks as a topic may have.
  case boardFull(limit: Int)
  /// It is meant for one handle.
  case directed(TaskID, to: Handle)
  /// Somebody holds it.
  case held(TaskID, by: Handle, until: Int64, fence: MessageID)
  /// It is over.
  case ended(TaskID, TaskEnding.Kind, by: Handle)
  /// Nobody did it in its time.
  case expired(TaskID)
  /// Nobody holds it: the caller's lease ran out, or it gave the task back.
  case notHeld(TaskID)
  /// Another claim won, or came later.
  case wrongFence(TaskID, holder: Handle)
  /// The fence is right, but not the sender.
  case notHolder(TaskID, holder: Handle)
  /// Only its poster can withdraw it.
  case notPoster(TaskID, poster: Handle)
  /// The message was found after its place in the log had passed.
  case late

  /// The stable name that results and JSON carry.
  public var code: String {
    switch self {
    case .unknown: "taskUnknown"
    case .ambiguous: "taskAmbiguous"
    case .idInUse: "taskIdInUse"
    case .boardFull: "taskBoardFull"
    case .directed: "taskNotForYou"
    case .held: "taskHeld"
    case .ended: "taskEnded"
    case .expired: "taskExpired"
    case .notHeld: "taskNotHeld"
    case .wrongFence: "taskWrongFence"
    case .notHolder: "taskNotHolder"
    case .notPoster: "taskNotPoster"
    case .late: "late"
    }
  }

  /// The reason in words.
  public var reason: String {
    func shown(_ handle: Handle) -> String { VisibleText.visible(handle.name, keepsLines: false) }
    switch self {
    case .unknown(let name): return "there is no task \(VisibleText.visible(name, keepsLines: false)) here"
    case .ambiguous(let name): return "several tasks begin with \(name): give more digits"
    case .idInUse(let id): return "a task \(id) is there already"
    case .boardFull(let limit): return "the topic has \(limit) open tasks, which is the most it may have"
    case .directed(let id, let handle): return "task \(id) is for \(shown(handle)) alone"
    case .held(let id, let handle, let until, let fence):
      return "task \(id) is held by \(shown(handle)) until \(ClockText.text(until)) (fence \(fence))"
    case .ended(let id, let kind, let handle): return "task \(id) was \(kind.words) by \(shown(handle)) already"
    case .expired(let id): return "task \(id) has expired"
    case .notHeld(let id):
      return "nobody holds task \(id): the lease ran out or it was given back; claim it again first"
    case .wrongFence(let id, let holder):
      return "the fence is not that of the claim that holds task \(id): \(shown(holder)) holds it now"
    case .notHolder(let id, let holder): return "task \(id) is held by \(shown(holder)), not by you"
    case .notPoster(let id, let poster): return "task \(id) was posted by \(shown(poster)), who alone can withdraw it"
    case .late: return "the message was found after its place in the log had passed"
    }
  }
}
