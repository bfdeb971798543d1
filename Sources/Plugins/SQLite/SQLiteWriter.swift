import Glibc
import ParleyRuntime

/// The one writing connection, on a thread of its own that may block in a lock or an fsync.
actor SQLiteWriter: LoopActor {
  nonisolated let loop: EventLoop
  private let options: SQLiteOptions
  private let announce: @Sendable (ClosedRange<Int64>, () -> Void) -> Void
  private let report: @Sendable (Report) -> Void
  private var session: WriterSession?
  private var pruneTimer: LoopTimer?

  /// What the writer tells the backend; called on the writer's thread.
  enum Report: Sendable {
    /// Calls of a batch with their outcomes, and the rows that are new; with the WAL's length when the batch is over.
    case posted([(call: PostCall, result: Result<Receipt, SeamError>)], stored: [StoredRow], doneAtWALPages: Int?)
    /// The session cannot go on.
    case lost(SeamError)
  }

  /// `announce` is called with the ids of new rows before anyone is told of them, and with what tells other processes.
  init(
    loop: EventLoop, options: SQLiteOptions,
    announce: @escaping @Sendable (ClosedRange<Int64>, () -> Void) -> Void,
    report: @escaping @Sendable (Report) -> Void
  ) {
    self.loop = loop
    self.options = options
    self.announce = announce
    self.report = report
  }

  /// Opens the file, makes or upgrades its tables, and starts pruning.
  func open() throws(SeamError) -> Schema.Facts {
    let session = try WriterSession.open(options)
    let facts = session.facts
    self.session = consume session
    if let days = options.retentionDays { prune(after: 0, days: days) }
    return facts
  }

  /// Closes the file and ends the thread.
  func close() {
    if let pruneTimer { loop.cancel(pruneTimer) }
    session = nil
    loop.stop()
  }

  /// Statements left open, which must be none between two turns.
  var openStatements: Int { session?.openStatements ?? 0 }

  /// Stores a batch, in as many transactions as the turnstile's time slice makes of it.
  func post(_ batch: [PostCall]) {
    var rest = batch[...]
    while true {
      guard let slice = session?.commit(&rest, now: loop.wallClockMilliseconds) else {
        let error = SeamError(.unavailable, operation: "post", cause: "the file is closed")
        report(.posted(rest.filter { $0.take() }.map { ($0, .failure(error)) }, stored: [], doneAtWALPages: 0))
        return
      }
      // Before the outcomes: with them the loop wakes, which may take this thread's processor for the whole answer.
      if let first = slice.stored.first?.id, let last = slice.stored.last?.id {
        announce(first...last) { session?.announce() }
      }
      // One word for outcomes and end: a second would wake the backend's loop twice for each batch.
      report(.posted(slice.results, stored: slice.stored, doneAtWALPages: rest.isEmpty ? session?.walPages : nil))
      if !slice.stored.isEmpty { session?.holdBackIfLogIsLong() }
      if let lost = slice.lost {
        session = nil
        report(.lost(lost))
      }
      if rest.isEmpty { return }
    }
  }

  /// Deletes what is too old in short transactions between which posts get their turn, then again in an hour.
  private func prune(after id: Int64, days: Double) {
    let cutoff = loop.wallClockMilliseconds - Int64(days * 86_400_000)
    // A locked or full file is no reason to end the session: the next hour tries again.
    if let next = try? session?.prune(after: id, cutoff: cutoff) {
      loop.execute { [weak self] in self?.assumeIsolated { $0.prune(after: next, days: days) } }
    } else if session != nil {
      pruneTimer = loop.schedule(after: .seconds(3600)) { [weak self] in
        self?.assumeIsolated { $0.prune(after: 0, days: days) }
      }
    }
  }
}
