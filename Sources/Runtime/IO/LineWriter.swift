import CLinux
import Glibc

/// Writes whole lines to a descriptor, on an event loop, without blocking it and without changing the descriptor's flags.
///
/// What a loop turn appends leaves in one write at the turn's end. A pipe or terminal is opened anew through /proc, so
/// that only our own description is non-blocking; a socket is written with `MSG_DONTWAIT`; everything else (and a pipe
/// that cannot be opened anew) is written by a thread of its own. Confined to its loop.
//
// @unchecked: confined to the loop's thread; the writing thread gets its bytes handed over.
package final class LineWriter: @unchecked Sendable {
  /// What a writer tells.
  package enum Event: Sendable {
    /// More than the watermark is queued.
    case congested
    /// No more than a quarter of the watermark is queued any more.
    case drained
    /// The reader is gone; nothing more will be written.
    case closed
  }

  private enum Sink {
    /// Our own non-blocking description, or (sockets) the given descriptor.
    case descriptor(CInt, isSocket: Bool)
    case thread(EventLoop, isWriting: Bool)
    case closed
  }

  private let loop: EventLoop
  private let given: CInt
  private let watermark: Int
  private let tell: (Event) -> Void
  private var sink: Sink
  private var watch: Watch?
  private var buffer: [UInt8] = []
  private var head = 0
  /// Bytes that the writing thread has taken.
  private var handedOver = 0
  private var isFlushDue = false
  private var isWaitingForRoom = false
  private var isCongested = false
  private let emptied: Waiters<Void>
  /// All bytes written so far.
  package private(set) var writtenBytes = 0

  /// Makes a writer; `given` stays the caller's. Throws when neither a description nor a thread can be had.
  package init(
    loop: EventLoop, descriptor given: CInt, watermark: Int = 1 << 20, tell: @escaping (Event) -> Void
  ) throws(SystemError) {
    self.loop = loop
    self.given = given
    self.watermark = watermark
    self.tell = tell
    emptied = Waiters(loop: loop)
    sink = try Self.open(given)
    watchForHangUp()
  }

  private static func open(_ given: CInt) throws(SystemError) -> Sink {
    var status = stat()
    try SystemError.check("fstat", unsafe fstat(given, &status))
    switch status.st_mode & S_IFMT {
    case S_IFSOCK: return .descriptor(given, isSocket: true)
    case S_IFIFO, S_IFCHR:
      let own = unsafe parley_open("/proc/self/fd/\(given)", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0)
      if own >= 0 { return .descriptor(own, isSocket: false) }
      // No reader is left: as good as closed.
      if errno == ENXIO { return .closed }
    default: break
    }
    return .thread(try EventLoop.thread(named: "parley-stdout"), isWriting: false)
  }

  /// Bytes that wait to be written.
  package var queuedBytes: Int { buffer.count - head + handedOver }

  /// Whether the reader is gone.
  package var isClosed: Bool {
    if case .closed = sink { true } else { false }
  }

  /// Queues a line, to which the newline is added; it must hold none. Leaves at the end of the turn.
  package func append(_ line: borrowing [UInt8]) {
    guard !isClosed else { return }
    buffer.append(contentsOf: copy line)
    buffer.append(UInt8(ascii: "\n"))
    appended()
  }

  /// Queues bytes as they are, for what is no line. Leaves at the end of the turn.
  package func append(raw bytes: [UInt8]) {
    guard !isClosed, !bytes.isEmpty else { return }
    buffer.append(contentsOf: bytes)
    appended()
  }

  private func appended() {
    if !isFlushDue {
      isFlushDue = true
      loop.atEndOfTurn { [self] in
        isFlushDue = false
        flush()
      }
    }
    if !isCongested, queuedBytes > watermark {
      isCongested = true
      tell(.congested)
    }
  }

  /// Waits until everything is written or the reader is gone, at most until `deadline`.
  package func emptied(until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation) async {
    flush()
    while queuedBytes > 0, !isClosed {
      guard case .value = await emptied.wait(emptied.ticket(), until: deadline) else { return }
    }
  }

  /// Ends writing, and closes what the writer opened; what is queued is dropped.
  package func close() {
    if let watch { loop.unwatch(watch) }
    watch = nil
    switch sink {
    case .descriptor(let own, isSocket: false): Glibc.close(own)
    case .thread(let thread, _): thread.stop()
    case .descriptor, .closed: break
    }
    sink = .closed
    buffer = []
    head = 0
    handedOver = 0
    emptied.resumeAll(())
  }

  // MARK: Writing

  private func flush() {
    guard head < buffer.count else { return }
    switch sink {
    case .closed: break
    case .thread(let thread, isWriting: let isWriting): if !isWriting { handOver(to: thread) }
    case .descriptor(let descriptor, let isSocket): writeOut(to: descriptor, isSocket: isSocket)
    }
  }

  private func writeOut(to descriptor: CInt, isSocket: Bool) {
    while head < buffer.count {
      let written = Self.write(buffer, from: head, to: descriptor, isSocket: isSocket)
      if written < 0 {
        switch errno {
        case EINTR: continue
        case EAGAIN: return waitForRoom(descriptor)
        default: return end()
        }
      }
      head += written
      writtenBytes += written
    }
    if isWaitingForRoom, let watch {
      isWaitingForRoom = false
      loop.rewatch(watch, for: [])
    }
    reportRoom()
  }

  private static func write(_ bytes: [UInt8], from start: Int, to descriptor: CInt, isSocket: Bool) -> Int {
    unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return 0 }
      let count = buffer.count - start
      return isSocket
        ? unsafe send(descriptor, base + start, count, CInt(MSG_DONTWAIT | MSG_NOSIGNAL))
        : unsafe Glibc.write(descriptor, base + start, count)
    }
  }

  private func waitForRoom(_ descriptor: CInt) {
    reportRoom()
    isWaitingForRoom = true
    if let watch { return loop.rewatch(watch, for: .write) }
    do throws(SystemError) {
      watch = try loop.watch(descriptor, for: .write) { [self] in ready($0) }
    } catch {
      end()
    }
  }

  /// A silent watch tells at once when the reader goes; what epoll refuses (/dev/null) never makes anyone wait.
  private func watchForHangUp() {
    guard case .descriptor(let descriptor, _) = sink else { return }
    watch = try? loop.watch(descriptor, for: []) { [self] in ready($0) }
  }

  private func ready(_ readiness: Readiness) {
    if readiness.contains(.write) { flush() }
    if readiness.contains(.hangUp) { end() }
  }

  private func reportRoom() {
    if head == buffer.count {
      buffer.removeAll(keepingCapacity: buffer.capacity <= 256 << 10)
      head = 0
      if handedOver == 0 { emptied.resumeAll(()) }
    } else if head > buffer.count / 2 {
      buffer.removeSubrange(0..<head)
      head = 0
    }
    if isCongested, queuedBytes <= watermark / 4 {
      isCongested = false
      tell(.drained)
    }
  }

  private func end() {
    guard !isClosed else { return }
    close()
    tell(.closed)
  }

  // MARK: Writing on a thread

  private func handOver(to thread: EventLoop) {
    sink = .thread(thread, isWriting: true)
    let bytes = buffer
    buffer = []
    head = 0
    handedOver = bytes.count
    let descriptor = given
    thread.execute { [self] in
      var start = 0
      var failed = false
      while start < bytes.count, !failed {
        let written = Self.write(bytes, from: start, to: descriptor, isSocket: false)
        if written >= 0 { start += written } else { failed = errno != EINTR }
      }
      let isComplete = !failed
      loop.execute { [self] in
        guard case .thread(let thread, _) = sink else { return }
        sink = .thread(thread, isWriting: false)
        handedOver = 0
        writtenBytes += bytes.count
        guard isComplete else { return end() }
        flush()
        reportRoom()
      }
    }
  }
}
