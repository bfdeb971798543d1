import ParleyRuntime

/// What one participant works with besides its hub: states folded from logs, shared by all of its sessions.
public struct Coordination: Sendable {
  /// How far each topic was read.
  public let marks: ReadMarks
  /// What is handed over; each session over HTTP works on it as a process of its own.
  public var tasks: Tasks
  /// What the participant finds again wherever it resumes.
  public let own: OwnTopic
  /// What it talks about with few.
  public let conversations: Conversations
  /// What was written down for those who come later.
  public let summaries: Summaries
  /// What became of messages.
  public let receipts: Receipts

  /// Everything of the hub's participant; nothing is read until it is needed.
  public init(hub: Hub) {
    marks = ReadMarks(hub: hub)
    tasks = Tasks(hub: hub)
    own = OwnTopic(hub: hub)
    conversations = Conversations(hub: hub, own: own)
    summaries = Summaries(hub: hub)
    receipts = Receipts(hub: hub)
  }

  /// Finds the participant's conversations and follows them, however long the backend is away; ends early when the task
  /// is cancelled.
  public func run() async {
    while !Task.isCancelled {
      do throws(HubError) {
        return try await conversations.start()
      } catch {
        Log.write(.info, "conversations are not found yet", [("cause", error.description)])
        await own.loop.sleep(for: .seconds(1))
      }
    }
  }

  /// Ends following everything.
  public func stop() async {
    await receipts.stop()
    await conversations.stop()
    await summaries.stop()
    await own.stop()
    await tasks.stop()
    await marks.stop()
  }
}
