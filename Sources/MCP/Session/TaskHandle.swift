import ParleyCoordination
import ParleyRuntime

/// What a client holds instead of the answer of a `parley_wait` for tasks: the extension `io.modelcontextprotocol/tasks`
/// of revision 2026-07-28.
///
/// The handle itself names the tasks that are waited for. What became of them is in the log, so every process of the
/// participant answers for it, also after a restart, and nothing is kept for it.
struct TaskHandle: Hashable, Sendable {
  static let extensionName = "io.modelcontextprotocol/tasks"
  /// How often a client may ask: the answer comes from what is folded already.
  static let pollInterval: Int64 = 1000
  /// Handles that one `subscriptions/listen` may name.
  static let watchLimit = 100
  private static let prefix = "wait"

  /// Milliseconds since 1970.
  var createdAt: Int64
  var tasks: [TaskID]

  init(createdAt: Int64, tasks: [TaskID]) {
    self.createdAt = createdAt
    self.tasks = tasks
  }

  /// Reads the text of a handle; nil for anything that is none.
  init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 3, parts.count <= 2 + WaitTool.taskLimit, parts[0] == Self.prefix,
      let createdAt = Int64(parts[1], radix: 16), createdAt >= 0
    else { return nil }
    let tasks = parts.dropFirst(2).compactMap { TaskID(String($0)) }
    guard tasks.count == parts.count - 2 else { return nil }
    self.init(createdAt: createdAt, tasks: tasks)
  }

  var text: String { ([Self.prefix, String(createdAt, radix: 16)] + tasks.map(\.text)).joined(separator: "-") }
}

/// The tasks of a handle at one moment.
struct TaskHandleState: Sendable {
  let handle: TaskHandle
  let tasks: [TaskRecord]
  /// The store's time, milliseconds since 1970.
  let now: Int64

  var areOver: Bool { tasks.allSatisfy { $0.status(at: now).isFinal } }

  /// How long until the next of them expires, in milliseconds, at least 1.
  var nextExpiry: Int64 {
    max(1, tasks.filter { !$0.status(at: now).isFinal }.map { $0.expiresAt - now }.min() ?? 1)
  }

  /// The members of a `Task` by themselves.
  func text(bytes: Int) -> [UInt8] {
    var writer = JSONWriter(capacity: 512)
    write(into: &writer, bytes: bytes)
    return writer.bytes
  }

  /// Writes the members of a `Task`, with the answer of the wait where it is over.
  func write(into writer: inout JSONWriter, bytes: Int) {
    let over = tasks.count { $0.status(at: now).isFinal }
    let changes = tasks.compactMap { $0.ending?.at ?? $0.claim?.since } + [handle.createdAt]
    let end = tasks.map(\.expiresAt).max() ?? now
    writer.member("taskId", handle.text)
    writer.member("status", areOver ? "completed" : "working")
    writer.member("statusMessage", "\(over) of \(tasks.count) over")
    writer.member("createdAt", Timestamp.text(handle.createdAt))
    writer.member("lastUpdatedAt", Timestamp.text(changes.max() ?? handle.createdAt))
    writer.key("ttlMs")
    writer.int(max(0, end - handle.createdAt))
    writer.key("pollIntervalMs")
    writer.int(TaskHandle.pollInterval)
    guard areOver else { return }
    var answer = JSONWriter(capacity: 1024)
    answer.beginObject()
    answer.raw(trusted: WaitTool.members(of: tasks, at: now, areOver: true, bytes: bytes))
    answer.endObject()
    writer.key("result")
    writer.beginObject()
    writer.key("content")
    writer.textContent(trusted: answer.bytes)
    writer.raw(trusted: #""structuredContent":"#)
    writer.raw(trusted: answer.bytes)
    writer.endObject()
  }
}
