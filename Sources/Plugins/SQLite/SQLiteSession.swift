import ParleyRuntime
import Synchronization

/// What exists between `connect` and `disconnect` or loss: two threads with an open file each.
///
/// The last reference closes it: the backstop for a backend that was never disconnected. (Not the backend's own
/// `isolated deinit`: with one, Swift 6.3.1 refuses to import the actor into another module's release build.)
final class SQLiteSession: Sendable {
  let writer: SQLiteWriter
  let reader: SQLiteReader
  let generation: String
  let lost: @Sendable (SeamError) -> Void
  private let isClosed = Atomic<Bool>(false)

  init(
    writer: SQLiteWriter, reader: SQLiteReader, generation: String, lost: @escaping @Sendable (SeamError) -> Void
  ) {
    self.writer = writer
    self.reader = reader
    self.generation = generation
    self.lost = lost
  }

  deinit { close() }

  /// Closes both handles after what is queued and ends the threads; `partDone` is called on each of them. Once only.
  func close(partDone: @escaping @Sendable () -> Void = {}) {
    guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
    writer.loop.execute { [writer] in
      writer.assumeIsolated { $0.close() }
      partDone()
    }
    reader.loop.execute { [reader] in
      reader.assumeIsolated { $0.close() }
      partDone()
    }
  }
}

/// Waits for the parts of a session to close; confined to the backend's loop.
// @unchecked: only touched by actions on one loop.
final class Closing: @unchecked Sendable {
  private var continuation: CheckedContinuation<Void, Never>?
  private var parts: Int

  init(_ continuation: CheckedContinuation<Void, Never>, parts: Int) {
    self.continuation = continuation
    self.parts = parts
  }

  func partDone() {
    parts -= 1
    if parts == 0 { giveUp() }
  }

  func giveUp() {
    continuation?.resume()
    continuation = nil
  }
}
