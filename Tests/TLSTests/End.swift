import ParleyRuntime
import ParleyTLS
import Testing

/// Runs a body on a loop of its own.
func onLoop(_ body: @escaping @Sendable (EventLoop) async throws -> Void) throws {
  let loop = try EventLoop(name: "test")
  let result: Result<Void, any Error> = try loop.run {
    do { return .success(try await body(loop)) } catch { return .failure(error) }
  }
  try result.get()
}

func soon(_ loop: EventLoop) -> LoopInstant { loop.now.advanced(by: .seconds(10)) }

/// The seam's error that `body` throws; nil when it throws none.
func failure<T>(
  isolation: isolated (any Actor)? = #isolation, of body: () async throws -> T
) async -> SeamError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? SeamError
  }
}

/// One end of a stream, with what it received.
final class End: @unchecked Sendable {  // confined to its loop
  let stream: ByteStream
  private(set) var closeError: SeamError?
  /// Upgrades from within the reading callback when so many bytes have come.
  var upgradesAfter: (count: Int, cipher: any StreamCipher)?
  var pausesAfterEachPiece = false
  private var received: [UInt8] = []
  private let changed: Waiters<Void>

  init(_ stream: ByteStream) {
    self.stream = stream
    changed = Waiters(loop: stream.loop)
    stream.start(
      onBytes: { [weak self] bytes in self?.take([UInt8](copying: bytes)) },
      onClose: { [weak self] error in
        self?.closeError = error
        self?.changed.resumeAll(())
      })
  }

  private func take(_ bytes: [UInt8]) {
    received += bytes
    if let (count, cipher) = upgradesAfter, received.count >= count {
      upgradesAfter = nil
      // The stream fails by itself where there is more.
      try? stream.upgrade(with: cipher, unreadBytes: received.count - count)
    }
    if pausesAfterEachPiece { stream.pauseReading() }
    changed.resumeAll(())
  }

  /// Waits for so many bytes and takes them; fewer when they do not come.
  func read(_ count: Int, resuming: Bool = false, isolation: isolated (any Actor)? = #isolation) async -> [UInt8] {
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

  func closed(isolation: isolated (any Actor)? = #isolation) async -> SeamError.Code? {
    let deadline = soon(stream.loop)
    while closeError == nil {
      guard case .value = await changed.wait(changed.ticket(), until: deadline) else { break }
    }
    return closeError?.code
  }
}
