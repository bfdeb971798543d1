import ArgumentParser
import ParleyCoordination
import ParleyMCP
import ParleyRuntime

extension SessionOptions {
  /// Runs `body` with the participant's tasks, and ends following them.
  func runTasks(_ body: @escaping @Sendable (Room, Tasks) async throws -> Void) throws {
    try run { room in
      let tasks = Tasks(hub: room.hub)
      let result: Result<Void, any Error>
      do { result = .success(try await body(room, tasks)) } catch { result = .failure(error) }
      await tasks.stop()
      try result.get()
    }
  }
}

extension Output {
  /// Prints one task: a JSON object, or a line a person can read.
  func task(_ task: TaskRecord, at now: Int64) {
    value { $0.task(task, at: now) }
    func visible(_ text: String) -> String { VisibleText.visible(text, keepsLines: false) }
    var text = "\(task.label)  \(task.status(at: now).rawValue)  \(visible(task.title))"
    if let to = task.to { text += "  for \(visible(to.name))" }
    if let claim = task.heldClaim(at: now) { text += "  held by \(visible(claim.holder.handle.name))" }
    if let ending = task.ending {
      text += "  by \(visible(ending.by.handle.name))"
      if let words = ending.text, !words.isEmpty { text += ": \(visible(words))" }
    }
    line(text)
  }
}

/// Which task, on which topic, and what the caller holds of it.
struct TaskArguments: ParsableArguments {
  @Argument(help: "The task's id, or at least its first 4 digits.")
  var task: String

  @Option(help: "The topic it was posted on (default: any of the configured ones).")
  var topic: String?

  @Option(help: "The fence that claiming it printed.")
  var fence: String?

  /// Says something about the task and prints what became of it.
  func update(_ update: TaskUpdate, _ session: SessionOptions) throws {
    let (name, topic, fence) = (task, topic.map { Topic($0) }, fence)
    try session.runTasks { room, tasks in
      let task = try await tasks.update(name, on: topic, fence: fence, update)
      room.output.task(task, at: task.ending?.at ?? task.claim?.since ?? task.postedAt)
    }
  }
}

/// `parley task post`.
struct TaskPostCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "post", abstract: "Post a task; prints its id.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topic to post it on.")
  var topic: String

  @Argument(help: "What it is, in one line.")
  var title: String

  @Option(help: "What is to be done, as long as a message may be.")
  var body: String?

  @Option(help: "The only handle that may take it.")
  var to: String?

  @Option(help: "For so many seconds it can be done (default: a day; 60 to 2592000).")
  var ttl = 86_400

  @Option(help: "Makes a retry safe: the same key with the same task is one task.")
  var key: String?

  func run() throws {
    let request = TaskPost(
      topic: Topic(topic), title: title, body: body, to: to.map { Handle($0) }, lifetime: .seconds(ttl), key: key)
    try session.runTasks { room, tasks in
      let (task, _) = try await tasks.post(request)
      room.output.line(task.id.text)
      room.output.value { $0.task(task, at: task.postedAt) }
    }
  }
}

/// `parley task claim`.
struct TaskClaimCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "claim", abstract: "Take the oldest open task, or one; prints it with its fence.",
    discussion: "Ends with code 4 when no task is open.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topic to take the oldest open task of.")
  var topic: String?

  @Option(help: "Take this task.")
  var task: String?

  @Option(help: "It is yours for so many seconds (30 to 86400).")
  var lease = 600

  func validate() throws {
    guard topic != nil || task != nil else { throw ValidationError("Name a topic, or a task with --task.") }
  }

  func run() throws {
    let (topic, name, lease) = (topic.map { Topic($0) }, task, Duration.seconds(lease))
    try session.runTasks { room, tasks in
      var task: TaskRecord?
      if let name {
        task = try await tasks.claim(name, on: topic, lease: lease)
      } else if let topic {
        task = try await tasks.claimNext(on: topic, lease: lease)
      }
      guard let task, let claim = task.claim else {
        throw CommandFailure(.nothing, code: "noTask", "no task is open")
      }
      room.output.line("\(task.id.text) \(claim.fence.text)")
      room.output.line(VisibleText.visible(task.title, keepsLines: false))
      if let body = task.body { room.output.line(VisibleText.visible(body)) }
      room.output.value { $0.task(task, at: claim.since) }
    }
  }
}

/// `parley task done`.
struct TaskDoneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "done", abstract: "Say that a task is done.")

  @OptionGroup var session: SessionOptions
  @OptionGroup var target: TaskArguments

  @Argument(help: "The result.")
  var text: [String] = []

  func run() throws { try target.update(.done(result: text.joined(separator: " ")), session) }
}

/// `parley task fail`.
struct TaskFailCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "fail", abstract: "Say that a task cannot be done.")

  @OptionGroup var session: SessionOptions
  @OptionGroup var target: TaskArguments

  @Argument(help: "The reason.")
  var text: [String] = []

  func run() throws { try target.update(.fail(reason: text.joined(separator: " ")), session) }
}

/// `parley task release`.
struct TaskReleaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "release", abstract: "Give a task back.")

  @OptionGroup var session: SessionOptions
  @OptionGroup var target: TaskArguments

  @Argument(help: "The reason.")
  var text: [String] = []

  func run() throws { try target.update(.release(reason: text.joined(separator: " ")), session) }
}

/// `parley task extend`.
struct TaskExtendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "extend", abstract: "Hold a task longer.")

  @OptionGroup var session: SessionOptions
  @OptionGroup var target: TaskArguments

  @Option(help: "It is yours for so many seconds from now (30 to 86400).")
  var lease = 600

  func run() throws { try target.update(.extend(.seconds(lease)), session) }
}

/// `parley task cancel`.
struct TaskCancelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "cancel", abstract: "Withdraw a task that you posted.")

  @OptionGroup var session: SessionOptions
  @OptionGroup var target: TaskArguments

  @Argument(help: "The reason.")
  var text: [String] = []

  func run() throws { try target.update(.cancel(reason: text.joined(separator: " ")), session) }
}

/// `parley task await`.
struct TaskAwaitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "await", abstract: "Wait until tasks are over, and print them with their results.",
    discussion: "Ends with code 7 when one failed or was withdrawn, 8 when one expired, 4 when the time was up.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The tasks' ids.")
  var tasks: [String]

  @Option(help: "The topic they were posted on (default: any of the configured ones).")
  var topic: String?

  @Option(help: "Give up after this many seconds (default: wait for ever).")
  var timeout: Double?

  func validate() throws {
    // In this form NaN fails too.
    if let timeout, !(timeout > 0 && timeout <= 31_536_000) {
      throw ValidationError("--timeout must be more than 0.")
    }
  }

  func run() throws {
    let (names, topic, timeout) = (tasks, topic.map { Topic($0) }, timeout)
    try session.runTasks { room, tasks in
      let limit = timeout ?? 31_536_000
      let deadline = room.hub.loop.now.advanced(by: .milliseconds(Int64(limit * 1000)))
      let (found, now, areOver) = try await tasks.settled(names, on: topic, until: deadline)
      for task in found { room.output.task(task, at: now) }
      guard areOver else {
        throw CommandFailure(.nothing, code: "timedOut", "not all were over within \(limit) seconds")
      }
      let states = Set(found.map { $0.status(at: now) })
      if states.contains(.failed) || states.contains(.cancelled) { throw QuietFailure(status: .taskFailed) }
      if states.contains(.expired) { throw QuietFailure(status: .taskExpired) }
    }
  }
}

/// `parley task list`.
struct TaskListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the tasks of a topic: open and held ones, and those that ended lately.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topics (default: all configured ones).")
  var topics: [String] = []

  @Option(help: "At most so many of those that ended.")
  var ended = 10

  func validate() throws {
    guard (0...10_000).contains(ended) else { throw ValidationError("--ended must be 0 to 10000.") }
  }

  func run() throws {
    let (named, ended) = (topics.map { Topic($0) }, ended)
    try session.runTasks { room, tasks in
      for topic in named.isEmpty ? room.hub.setup.topics : named {
        let board = try await tasks.board(of: topic, ended: ended)
        for task in board.live + board.ended { room.output.task(task, at: board.now) }
      }
    }
  }
}
