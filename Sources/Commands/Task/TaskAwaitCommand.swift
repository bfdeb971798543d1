import ArgumentParser
import ParleyCoordination
import ParleyRuntime

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

  func validate() throws { try Self.check(timeout: timeout) }

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
