import CLinux
import Glibc

/// Splits what comes in on a descriptor into lines, on an event loop, without changing the descriptor's flags.
///
/// One `read` per readiness event, so that a blocking descriptor shared with a parent never blocks the loop. What epoll
/// refuses (regular files, /dev/null) is read by a thread of its own. A carriage return before the newline, blank lines
/// and a byte order mark at the start are dropped; a last line without a newline counts. Confined to its loop.
//
// @unchecked: confined to the loop's thread; the reading thread touches only constants.
package final class LineReader: @unchecked Sendable {
  /// What a reader tells.
  package enum Event: Sendable {
    /// A line without its end.
    case line([UInt8])
    /// A line went over the limit; it is skipped up to its newline.
    case overlong
    /// The writer hung up while reading was paused; what is buffered comes after `resume`.
    case hangUpWhilePaused
    /// Nothing more will come.
    case end
    /// Reading failed; nothing more will come.
    case failed(SystemError)
  }

  private enum Source {
    case idle
    case watched(Watch)
    /// Reads one chunk at a time, when it is asked to.
    case thread(EventLoop, isReading: Bool)
    case ended
  }

  private static let chunkBytes = 16 << 10

  private let loop: EventLoop
  private let descriptor: CInt
  private let limit: Int
  private let take: (Event) -> Void
  private var source = Source.idle
  private var isPaused = false
  /// What was read and not split yet, and the start of a line whose end has not come.
  private var chunk: [UInt8] = []
  private var chunkStart = 0
  private var partial: [UInt8] = []
  private var isSkipping = false
  private var isFirstLine = true
  private var isSplitting = false
  private var hasEnded = false

  /// Makes a reader of lines of at most `limit` bytes; nothing is read until `start`.
  package init(loop: EventLoop, descriptor: CInt, limit: Int, take: @escaping (Event) -> Void) {
    self.loop = loop
    self.descriptor = descriptor
    self.limit = limit
    self.take = take
  }

  /// Begins to read; throws when neither epoll nor a thread can be had.
  package func start() throws(SystemError) {
    do throws(SystemError) {
      source = .watched(try loop.watch(descriptor, for: .read) { [self] in ready($0) })
    } catch {
      guard error.code == EPERM else { throw error }
      source = .thread(try EventLoop.thread(named: "parley-stdin"), isReading: false)
      readOnThread()
    }
  }

  /// Tells no more lines until `resume`; may be called from within `take`.
  package func pause() {
    guard !isPaused else { return }
    isPaused = true
    // A silent watch would still report a hang-up, in every turn.
    if case .watched(let watch) = source { loop.rewatch(watch, for: []) }
  }

  /// Goes on after `pause`.
  package func resume() {
    guard isPaused else { return }
    isPaused = false
    split()
    guard !isPaused else { return }
    switch source {
    case .watched(let watch): loop.rewatch(watch, for: .read)
    case .idle: watchAgain()
    case .thread: readOnThread()
    case .ended: break
    }
  }

  /// Ends reading; nothing more is told. The descriptor stays open.
  package func stop() {
    switch source {
    case .watched(let watch): loop.unwatch(watch)
    case .thread(let thread, _): thread.stop()
    case .idle, .ended: break
    }
    source = .ended
    hasEnded = true
  }

  // MARK: Reading

  private func ready(_ readiness: Readiness) {
    guard case .watched(let watch) = source else { return }
    if isPaused {
      guard readiness.contains(.hangUp) else { return }
      loop.unwatch(watch)
      source = .idle
      take(.hangUpWhilePaused)
    } else {
      took(Self.read(descriptor, into: &chunk))
    }
  }

  private func watchAgain() {
    do throws(SystemError) {
      source = .watched(try loop.watch(descriptor, for: .read) { [self] in ready($0) })
    } catch {
      took(error)
    }
  }

  private func readOnThread() {
    guard case .thread(let thread, isReading: false) = source else { return }
    source = .thread(thread, isReading: true)
    let descriptor = descriptor
    thread.execute { [self] in
      var bytes: [UInt8] = []
      let error = Self.read(descriptor, into: &bytes)
      loop.execute { [self, bytes] in
        guard case .thread(let thread, _) = source else { return }
        source = .thread(thread, isReading: false)
        chunk = bytes
        took(error)
        if !isPaused { readOnThread() }
      }
    }
  }

  /// Reads one chunk in place of what the array holds, whose memory is kept; an empty one is the end of input.
  private static func read(_ descriptor: CInt, into bytes: inout [UInt8]) -> SystemError? {
    var code: CInt = 0
    bytes.removeAll(keepingCapacity: true)
    bytes.append(addingCapacity: chunkBytes) { output in
      unsafe output.withUnsafeMutableBufferPointer { buffer, count in
        let result = unsafe Glibc.read(descriptor, buffer.baseAddress, chunkBytes)
        if result < 0 { code = errno }
        count = max(result, 0)
      }
    }
    return code == 0 ? nil : SystemError(operation: "read", code: code)
  }

  /// Goes on with the chunk that was read, or with what kept it from being read.
  private func took(_ error: SystemError?) {
    chunkStart = 0
    guard let error else { return chunk.isEmpty ? finish(.end) : split() }
    switch error.code {
    case EINTR, EAGAIN: break
    // A terminal or pseudo terminal whose other side is gone.
    case EIO, ECONNRESET: finish(.end)
    default: finish(.failed(error))
    }
  }

  private func finish(_ event: Event) {
    if !partial.isEmpty, !isSkipping {
      let line = partial
      partial = []
      tell(line[...])
    }
    guard !hasEnded else { return }
    stop()
    take(event)
  }

  // MARK: Splitting

  private func split() {
    guard !isSplitting else { return }
    isSplitting = true
    defer { isSplitting = false }
    while !isPaused, !hasEnded, chunkStart < chunk.count {
      guard let newline = Self.newline(in: chunk, from: chunkStart) else {
        keepPartial(chunk[chunkStart...])
        chunkStart = chunk.count
        break
      }
      let piece = chunk[chunkStart..<newline]
      chunkStart = newline + 1
      endLine(piece)
    }
    if chunkStart == chunk.count {
      chunk.removeAll(keepingCapacity: true)
      chunkStart = 0
    }
  }

  private static func newline(in bytes: [UInt8], from start: Int) -> Int? {
    unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress,
        let found = unsafe memchr(base + start, CInt(UInt8(ascii: "\n")), buffer.count - start)
      else { return nil }
      return unsafe UnsafeRawPointer(found) - base
    }
  }

  private func keepPartial(_ piece: ArraySlice<UInt8>) {
    guard !isSkipping else { return }
    partial += piece
    if partial.count > limit {
      partial = []
      isSkipping = true
      take(.overlong)
    }
  }

  private func endLine(_ piece: ArraySlice<UInt8>) {
    guard !isSkipping else {
      isSkipping = false
      return
    }
    guard partial.count + piece.count <= limit else {
      partial = []
      return take(.overlong)
    }
    guard !partial.isEmpty else { return tell(piece) }
    let line = partial + piece
    partial = []
    tell(line[...])
  }

  private func tell(_ line: ArraySlice<UInt8>) {
    var line = line
    if isFirstLine {
      isFirstLine = false
      if line.starts(with: [0xEF, 0xBB, 0xBF]) { line = line.dropFirst(3) }
    }
    if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
    guard line.contains(where: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }) else { return }
    take(.line(Array(line)))
  }
}
