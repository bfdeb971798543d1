import ParleyRuntime

/// Calls that are not answered yet, by id. An id may be used again as soon as its call is answered or cancelled.
struct PendingCalls {
  struct Entry {
    let call: Call
    let serial: UInt64
    let work: Work
    var progress = -Double.infinity
  }

  /// What will answer a call.
  enum Work {
    /// A task, which ends early when it is cancelled.
    case task(Task<Void, Never>)
    /// Somebody who was given a reply to call, and cannot be stopped.
    case reply
    /// The end of the session: `subscriptions/listen`, with what watches on its behalf.
    case listening(Task<Void, Never>?)
  }

  private var entries: [RequestID: Entry] = [:]
  private var lastSerial: UInt64 = 0
  private var working = 0

  var count: Int { entries.count }
  var isEmpty: Bool { entries.isEmpty }
  /// Whether any call is to be answered before the session ends.
  var hasWork: Bool { working > 0 }

  func contains(_ id: RequestID) -> Bool { entries[id] != nil }

  /// Tells a call from a later one with the same id.
  mutating func nextSerial() -> UInt64 {
    lastSerial += 1
    return lastSerial
  }

  mutating func insert(_ call: Call, serial: UInt64, _ work: Work) {
    let entry = Entry(call: call, serial: serial, work: work)
    entries[call.id] = entry
    if !entry.isListening { working += 1 }
  }

  mutating func remove(_ id: RequestID) -> Entry? {
    guard let entry = entries.removeValue(forKey: id) else { return nil }
    if !entry.isListening { working -= 1 }
    return entry
  }

  /// False when that very call is not pending any more.
  mutating func remove(_ id: RequestID, serial: UInt64) -> Bool {
    guard let place = entries.index(forKey: id), entries.values[place].serial == serial else { return false }
    if !entries.remove(at: place).value.isListening { working -= 1 }
    return true
  }

  /// In the order in which they came.
  mutating func removeAll() -> [Entry] {
    defer {
      entries = [:]
      working = 0
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

extension PendingCalls.Entry {
  var isListening: Bool {
    if case .listening = work { true } else { false }
  }

  /// Ends the call's work early, where that can be done.
  func cancel() {
    switch work {
    case .task(let task): task.cancel()
    case .listening(let watching): watching?.cancel()
    case .reply: break
    }
  }
}
