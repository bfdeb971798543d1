import CLinux
import Glibc

/// A byte stream over TCP or a Unix socket, clear or encrypted, on an event loop; confined to it.
///
/// Reading is synchronous: readiness, `onBytes`, no suspension. What a loop turn writes leaves in one system call at
/// the turn's end. The queue is bounded: a write is taken whole or, when `queueLimit` is reached, refused, and `room`
/// waits until there is some. When the stream ends by itself `onClose` is called once, after the last `onBytes`.
//
// @unchecked: confined to the loop's thread. @safe: the buffer lives as long as the stream, and spans of it as long as a
// call of `onBytes`.
@safe package final class ByteStream: @unchecked Sendable {
  private enum State {
    case open
    case closed(SeamError)
  }

  /// The loop that it is confined to.
  package let loop: EventLoop
  /// Where it leads, for texts.
  package let endpoint: Endpoint
  /// From so many queued bytes on, writes are refused.
  package let queueLimit: Int

  private let descriptor: CInt
  private var state = State.open
  private var watch: Watch?
  private var interest: Readiness = []

  private var onBytes: ((RawSpan) -> Void)?
  private var onClose: ((SeamError) -> Void)?
  private var isPaused = false
  private var isDelivering = false
  private let buffer: UnsafeMutableRawBufferPointer

  private var cipher: (any StreamCipher)?
  private let secured: Waiters<Result<Void, SeamError>>
  private var securedTicket: UInt64?

  /// Clear text that is not sealed yet (encrypted streams), or bytes to send.
  private var pending = ByteQueue()
  /// Sealed bytes (encrypted streams).
  private var sealed = ByteQueue()
  private var isFlushDue = false
  /// `flush`, as it is handed to the loop turn after turn.
  private lazy var flushAtEnd: () -> Void = { [weak self] in self?.flush() }
  /// The kernel's buffer is full; the descriptor is watched for room.
  private var isBlocked = false
  private let roomWaiters: Waiters<Void>
  private var endsWriting = false
  /// Bytes that the kernel took so far.
  package private(set) var sentBytes = 0
  /// Called whenever everything that was queued has been taken by the kernel.
  package var onSent: (() -> Void)?

  /// What is sealed at a time.
  private static let sealedAtOnce = 256 << 10
  /// A readable socket is read so often before others get their turn.
  private static let readsPerTurn = 4

  /// Takes over a connected, non-blocking socket. `readSize` is the most that is read at once, and the size of the
  /// largest span that `onBytes` gets.
  package init(
    loop: EventLoop, descriptor: CInt, endpoint: Endpoint, queueLimit: Int = 4 << 20, readSize: Int = 64 << 10
  ) {
    self.loop = loop
    self.descriptor = descriptor
    self.endpoint = endpoint
    self.queueLimit = queueLimit
    unsafe buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readSize, alignment: 16)
    secured = Waiters(loop: loop)
    roomWaiters = Waiters(loop: loop)
    if case .tcp = endpoint { Self.tune(descriptor) }
  }

  deinit {
    unsafe buffer.deallocate()
    guard case .open = state else { return }
    let (loop, descriptor, watch) = (loop, descriptor, watch)
    loop.execute {
      if let watch { loop.unwatch(watch) }
      Glibc.close(descriptor)
    }
  }

  /// Small writes leave at once, dead peers are noticed: idle ones in about a minute, ones that owe an
  /// acknowledgement in 20 s.
  private static func tune(_ descriptor: CInt) {
    func set(_ level: CInt, _ option: CInt, _ value: CInt) {
      var value = value
      unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
    }
    set(CInt(IPPROTO_TCP), TCP_NODELAY, 1)
    set(SOL_SOCKET, SO_KEEPALIVE, 1)
    set(CInt(IPPROTO_TCP), TCP_KEEPIDLE, 30)
    set(CInt(IPPROTO_TCP), TCP_KEEPINTVL, 10)
    set(CInt(IPPROTO_TCP), TCP_KEEPCNT, 3)
    set(CInt(IPPROTO_TCP), TCP_USER_TIMEOUT, 20_000)
  }

  // MARK: Reading

  /// Begins to read. A stream that has ended meanwhile calls `onClose` on the loop's next turn.
  package func start(onBytes: @escaping (RawSpan) -> Void, onClose: @escaping (SeamError) -> Void) {
    self.onBytes = onBytes
    self.onClose = onClose
    if case .closed(let error) = state {
      loop.schedule(after: .zero) { [self] in tellClosed(error) }
      return
    }
    deliverSealed()
    watchAgain()
  }

  /// Stops reading, so that the peer is held back. What `onBytes` has been given it has.
  package func pauseReading() {
    isPaused = true
    watchAgain()
  }

  /// Reads on.
  package func resumeReading() {
    guard isPaused else { return }
    isPaused = false
    guard case .open = state else { return }
    if !isDelivering { deliverSealed() }
    watchAgain()
  }

  private var isHandshaking: Bool { cipher.map { !$0.isEstablished } ?? false }
  private var mayRead: Bool { isHandshaking || (onBytes != nil && !isPaused) }

  private func ready(_ readiness: Readiness) {
    if readiness.contains(.write) || (isBlocked && readiness.contains(.hangUp)) {
      isBlocked = false
      flush()
    }
    guard readiness.contains(.read) || readiness.contains(.hangUp) else { return watchAgain() }
    for _ in 0..<Self.readsPerTurn {
      guard case .open = state, mayRead, read() else { break }
    }
    watchAgain()
  }

  /// One read; false when there is nothing more for now.
  private func read() -> Bool {
    let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, CInt(MSG_DONTWAIT))
    guard count > 0 else {
      if count < 0, errno == EAGAIN || errno == EINTR { return false }
      let cause = count == 0 ? "the other side closed the connection" : SystemError.last("read").description
      fail(
        SeamError(.unavailable, native: count < 0 ? Int(errno) : nil, operation: "read from \(endpoint)", cause: cause))
      return false
    }
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer[..<count])
    if let cipher {
      do throws(SeamError) {
        try unsafe cipher.take(bytes.bytes)
        try advance(cipher)
      } catch {
        fail(error)
      }
    } else {
      isDelivering = true
      unsafe onBytes?(bytes.bytes)
      isDelivering = false
    }
    return unsafe count == buffer.count
  }

  private func deliverSealed() {
    guard let cipher else { return }
    do throws(SeamError) { try advance(cipher) } catch { fail(error) }
  }

  /// Lets the cipher do what it can with what it has: handshake, then clear text.
  private func advance(_ cipher: any StreamCipher) throws(SeamError) {
    if !cipher.isEstablished {
      do throws(SeamError) { try cipher.handshake() } catch {
        // The alert that tells the peer why.
        flush()
        throw error
      }
      scheduleFlush()
      guard cipher.isEstablished else { return }
      finishSecuring(.success(()))
    }
    while case .open = state, onBytes != nil, !isPaused {
      guard let count = try unsafe cipher.open(into: buffer) else {
        throw SeamError(
          .unavailable, operation: "read from \(endpoint)", cause: "the other side closed the encrypted connection")
      }
      guard count > 0 else { break }
      isDelivering = true
      unsafe onBytes?(UnsafeRawBufferPointer(rebasing: buffer[..<count]).bytes)
      isDelivering = false
    }
    // Answers that the protocol itself makes, for example to a key update.
    scheduleFlush()
  }

  private func watchAgain() {
    guard case .open = state else { return }
    var wanted: Readiness = []
    if mayRead { wanted.insert(.read) }
    if isBlocked { wanted.insert(.write) }
    guard wanted != interest else { return }
    interest = wanted
    if let watch {
      guard wanted.isEmpty else { return loop.rewatch(watch, for: wanted) }
      // A watch for nothing still tells of hang-ups, again and again.
      loop.unwatch(watch)
      self.watch = nil
      return
    }
    do throws(SystemError) {
      watch = try loop.watch(descriptor, for: wanted) { [weak self] in self?.ready($0) }
    } catch {
      fail(SeamError(.unavailable, native: Int(error.code), operation: "watch \(endpoint)", cause: error.description))
    }
  }

  // MARK: Encryption

  /// Encrypts the stream from here on; call it from within `onBytes`, or while reading is paused or not begun.
  ///
  /// `unreadBytes` are those that `onBytes` was given and the caller did not consume: clear text that someone put
  /// behind the word to upgrade, which must never count as sent under encryption. Throws `unauthorized` for them.
  package func upgrade(with cipher: any StreamCipher, unreadBytes: Int = 0) throws(SeamError) {
    let operation = "encrypt the connection to \(endpoint)"
    if case .closed(let error) = state { throw error }
    guard self.cipher == nil else {
      throw SeamError(.invalidRequest, operation: operation, cause: "it is encrypted already")
    }
    guard unreadBytes == 0 else {
      let error = SeamError(
        .unauthorized, operation: operation,
        cause: "\(unreadBytes) bytes of clear text came before encryption: somebody may be tampering")
      fail(error)
      throw error
    }
    // What was written before belongs before the handshake.
    flush()
    swap(&sealed, &pending)
    self.cipher = cipher
    securedTicket = secured.ticket()
    do throws(SeamError) { try cipher.handshake() } catch {
      fail(error)
      throw error
    }
    scheduleFlush()
    watchAgain()
  }

  /// Waits until the handshake of `upgrade` is complete.
  package func secured(
    until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) {
    guard let securedTicket else { return }
    let operation = "encrypt the connection to \(endpoint)"
    switch await secured.wait(securedTicket, until: deadline) {
    case .value(let result): try result.get()
    case .timedOut:
      throw SeamError(.unavailable, operation: operation, cause: "the other side did not complete the TLS handshake")
    case .cancelled: throw SeamError(.cancelled, operation: operation, cause: "the caller cancelled")
    }
  }

  private func finishSecuring(_ result: Result<Void, SeamError>) {
    if let securedTicket { secured.resume(securedTicket, result) }
  }

  /// The cipher's data for binding an authentication to this channel; nil on a clear stream.
  package var channelBinding: [UInt8]? { cipher?.channelBinding }

  // MARK: Writing

  /// Bytes that wait to be sent.
  package var queuedBytes: Int { pending.count + sealed.count }

  /// Whether a write would be taken now.
  package var hasRoom: Bool { isOpen && queuedBytes < queueLimit }

  package var isOpen: Bool {
    if case .open = state { true } else { false }
  }

  /// Queues bytes; they leave at the end of the loop's turn. False, with nothing taken, when the queue is full or the
  /// stream is closed.
  @discardableResult
  package func write(_ bytes: some Collection<UInt8>) -> Bool { write { $0.append(contentsOf: bytes) } }

  /// Queues what `append` appends, without a copy; it must do nothing else to the array.
  @discardableResult
  package func write(appending append: (inout [UInt8]) -> Void) -> Bool {
    guard hasRoom, !endsWriting else { return false }
    pending.append(append)
    scheduleFlush()
    return true
  }

  /// Waits until a write would be taken; false at the deadline, on cancellation, or when the stream has ended.
  package func room(until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation) async -> Bool {
    while isOpen, !hasRoom {
      guard case .value = await roomWaiters.wait(roomWaiters.ticket(), until: deadline) else { return false }
    }
    return isOpen
  }

  private func scheduleFlush() {
    guard !isFlushDue else { return }
    isFlushDue = true
    loop.atEndOfTurn(flushAtEnd)
  }

  private func flush() {
    isFlushDue = false
    guard isOpen, !isBlocked else { return }
    guard let cipher else {
      let queued = pending.count
      let sending = pending.send(to: descriptor)
      sentBytes += queued - pending.count
      return finish(sending)
    }
    do throws(SeamError) {
      // What waits for its handshake waits in clear; of the rest only so much is sealed as the socket takes soon.
      repeat {
        if cipher.isEstablished { try seal(cipher) }
        sealed.append { cipher.drain(into: &$0) }
        let queued = sealed.count
        let sending = sealed.send(to: descriptor)
        sentBytes += queued - sealed.count
        finish(sending)
        guard case .done = sending, isOpen else { return }
      } while cipher.isEstablished && !pending.isEmpty
    } catch {
      fail(error)
    }
  }

  private func seal(_ cipher: any StreamCipher) throws(SeamError) {
    guard !pending.isEmpty else { return }
    var result: Result<Void, SeamError> = .success(())
    pending.take(upTo: Self.sealedAtOnce) { plaintext in
      do throws(SeamError) { try cipher.seal(plaintext) } catch { result = .failure(error) }
    }
    try result.get()
  }

  private func finish(_ sending: ByteQueue.Sending) {
    switch sending {
    case .done: break
    case .blocked:
      isBlocked = true
      watchAgain()
    case .failed(let error):
      return fail(
        SeamError(
          .unavailable, native: Int(error.code), operation: "write to \(endpoint)", cause: error.description))
    }
    if queuedBytes <= queueLimit / 2 { roomWaiters.resumeAll(()) }
    guard queuedBytes == 0, isOpen else { return }
    if endsWriting { shutdown(descriptor, CInt(SHUT_WR)) }
    onSent?()
  }

  // MARK: Ending

  /// Ends our side of the stream when everything that is queued has been sent; the other side may still be read.
  package func finishWriting() {
    guard isOpen, !endsWriting else { return }
    if let cipher, cipher.isEstablished {
      flush()
      cipher.end()
    }
    endsWriting = true
    scheduleFlush()
  }

  /// Closes the stream after one last attempt to send what is queued; `onClose` is not called.
  package func close() {
    guard isOpen else { return }
    onClose = nil
    onSent = nil
    if let cipher, cipher.isEstablished {
      flush()
      cipher.end()
    }
    flush()
    fail(SeamError(.unavailable, operation: "use \(endpoint)", cause: "the connection was closed"))
  }

  private func fail(_ error: SeamError) {
    guard isOpen else { return }
    state = .closed(error)
    if let watch { loop.unwatch(watch) }
    watch = nil
    Glibc.close(descriptor)
    pending.removeAll()
    sealed.removeAll()
    roomWaiters.resumeAll(())
    finishSecuring(.failure(error))
    if onBytes != nil { tellClosed(error) }
  }

  private func tellClosed(_ error: SeamError) {
    onBytes = nil
    onSent = nil
    let tell = onClose
    onClose = nil
    tell?(error)
  }
}
