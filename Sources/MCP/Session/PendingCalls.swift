import ParleyRuntime

/// Calls that are not answered yet, by id. An id may be used again as soon as its call is answered or cancelled.
struct PendingCalls {
  struct Entry {
    let call: Call
    let serial: UInt64
    /// Nil for `subscriptions/listen`, which is answered when the session ends.
    let task: Task<Void, Never>?
    var progress = -Double.infinity

    var isListening: Bool { task == nil }
  }

  private var entries: [RequestID: Entry] = [:]
  private var lastSerial: UInt64 = 0
  private var tasks = 0

  var count: Int { entries.count }
  var isEmpty: Bool { entries.isEmpty }
  var hasTasks: Bool { tasks > 0 }

  func contains(_ id: RequestID) -> Bool { entries[id] != nil }

  /// Tells a call from a later one with the same id.
  mutating func nextSerial() -> UInt64 {
    lastSerial += 1
    return lastSerial
  }

  mutating func insert(_ call: Call, serial: UInt64, task: Task<Void, Never>?) {
    entries[call.id] = Entry(call: call, serial: serial, task: task)
    if task != nil { tasks += 1 }
  }

  mutating func remove(_ id: RequestID) -> Entry? {
    guard let entry = entries.removeValue(forKey: id) else { return nil }
    if entry.task != nil { tasks -= 1 }
    return entry
  }

  /// False when that very call is not pending any more.
  mutating func remove(_ id: RequestID, serial: UInt64) -> Bool {
    guard entries[id]?.serial == serial else { return false }
    return remove(id) != nil
  }

  /// In the order in which they came.
  mutating func removeAll() -> [Entry] {
    defer {
      entries = [:]
      tasks = 0
    }
    return entries.values.sorted { $0.serial < $1.serial }
  }

  /// Notes progress of a call; false when it is not pending any more, or the progress is no advance.
  mutating func advance(_ id: RequestID, serial: UInt64, to progress: Double) -> Bool {
    guard let entry = entries[id], entry.serial == serial, progress.isFinite, progress > entry.progress else {
      return false
    }
    entries[id]?.progress = progress
    return true
  }
}
