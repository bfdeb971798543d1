import ParleyRuntime

/// One end of a stream, with what it received; confined to the stream's loop.
package final class StreamEnd: @unchecked Sendable {
  package let stream: ByteStream
  /// How often something came.
  package private(set) var pieces = 0
  package private(set) var closeError: SeamError?
  /// Called from within the reading callback, with what has come and was not taken.
  package var onReceive: (([UInt8]) -> Void)?
  private var received: [UInt8] = []
  private let changed: Waiters<Void>

  /// Begins to read the stream.
  package init(_ stream: ByteStream) {
    self.stream = stream
    changed = Waiters(loop: stream.loop)
    stream.start(
      onBytes: { [weak self] bytes in
        guard let self else { return }
        received += [UInt8](copying: bytes)
        pieces += 1
        onReceive?(received)
        changed.resumeAll(())
      },
      onClose: { [weak self] error in
        self?.closeError = error
        self?.changed.resumeAll(())
      })
  }

  /// Waits up to ten seconds for so many bytes and takes them; fewer when they do not come. With `resuming` the stream
  /// reads on whenever it has paused.
  package func read(
    _ count: Int, resuming: Bool = false, isolation: isolated (any Actor)? = #isolation
  ) async -> [UInt8] {
    let deadline = soon(stream.loop)
    while received.count < count {
      let before = received.count
      if resuming { stream.resumeReading() }
      // Resuming delivers at once what was decrypted already.
      if received.count > before { continue }
      guard case .value = await changed.wait(changed.ticket(), until: deadline) else { break }
    }
    let taken = Array(received.prefix(count))
    received.removeFirst(taken.count)
    return taken
  }

  /// Waits up to ten seconds for the stream's end; why it ended.
  package func closed(isolation: isolated (any Actor)? = #isolation) async -> SeamError.Code? {
    let deadline = soon(stream.loop)
    while closeError == nil {
      guard case .value = await changed.wait(changed.ticket(), until: deadline) else { break }
    }
    return closeError?.code
  }
}
