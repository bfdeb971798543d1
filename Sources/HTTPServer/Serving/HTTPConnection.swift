import ParleyRuntime

/// One connection: bytes in, requests to the application one at a time, responses out in their order.
//
// @unchecked: confined to the loop's thread.
final class HTTPConnection: @unchecked Sendable {
  enum Phase {
    /// Between requests, or in the middle of a head.
    case head
    /// The application does not know yet whether it admits the request.
    case judging(RequestHead)
    case body(RequestHead, limit: Int, finding: (any Sendable)?)
    case answering(HTTPExchange)
    /// A response was sent before the body came; it is passed over.
    case skipping
    /// The last response is on its way; what still comes is dropped, so that the client gets to read it.
    case lingering
    case closed
  }

  let peer: IPAddress?
  private(set) var phase = Phase.head
  /// When the connection began to wait for the request it waits for.
  private(set) var waitingSince: LoopInstant
  private unowned let server: HTTPServer
  private let stream: ByteStream
  private var parser: RequestParser
  private var isProcessing = false
  private var isReadingPaused = false
  /// A head has begun to come.
  private var isHeadTimed = true
  private var hasServed = false
  private var isCongested = false
  private var isChunked = false
  private var lingered = 0
  private var deadline: LoopInstant?
  private var timer: (timer: LoopTimer, due: LoopInstant)?
  private var stall: (timer: LoopTimer, sent: Int)?

  /// A body that nobody wants is passed over up to this size, so that the connection can be kept.
  private static let skippedBytes = 64 << 10
  private static let lingeredBytes = 4 << 20

  init(server: HTTPServer, stream: ByteStream, peer: IPAddress?) {
    self.server = server
    self.stream = stream
    self.peer = peer
    parser = RequestParser(limits: server.limits)
    waitingSince = stream.loop.now
  }

  private var loop: EventLoop { stream.loop }

  /// No request is being read into memory or answered: it may be closed for another's sake.
  var isWaiting: Bool { if case .head = phase { true } else { false } }

  func start() {
    expire(after: server.limits.headTime)
    stream.onSent = { [weak self] in self?.sent() }
    stream.start(
      onBytes: { [weak self] in self?.take($0) }, onClose: { [weak self] _ in self?.ended() })
  }

  // MARK: In

  private func take(_ span: RawSpan) {
    if case .lingering = phase {
      lingered += span.byteCount
      if lingered > Self.lingeredBytes { close() }
      return
    }
    parser.take(span)
    process()
  }

  private func process() {
    guard !isProcessing else { return }
    isProcessing = true
    defer { isProcessing = false }
    do throws(HTTPRefusal) {
      while try step() {}
    } catch {
      refuse(error)
    }
    holdBack()
  }

  /// Does one thing; false when more bytes, or the application, are needed.
  private func step() throws(HTTPRefusal) -> Bool {
    switch phase {
    case .head:
      guard let head = try parser.nextHead() else {
        if !isHeadTimed, parser.buffered > 0 {
          isHeadTimed = true
          expire(after: server.limits.headTime)
        }
        return false
      }
      try begin(head, server.application.admit(head, from: peer))
      return true
    case .body(let head, let limit, let finding):
      guard let body = try parser.nextBody(limit: limit) else {
        if finding != nil { phase = .body(head, limit: limit, finding: nil) }
        return false
      }
      deadline = nil
      let exchange = HTTPExchange(head: head, body: body, peer: peer, finding: finding, connection: self)
      phase = .answering(exchange)
      server.application.handle(exchange)
      return true
    case .skipping:
      guard try parser.skipBody(limit: Self.skippedBytes) else { return false }
      awaitNext()
      return true
    case .judging, .answering, .lingering, .closed: return false
    }
  }

  private func judged(_ admission: HTTPAdmission) {
    guard case .judging(let head) = phase else { return }
    do throws(HTTPRefusal) {
      try begin(head, admission)
    } catch {
      refuse(error)
    }
    process()
  }

  private func begin(_ head: RequestHead, _ admission: HTTPAdmission) throws(HTTPRefusal) {
    switch admission {
    case .later(let find):
      phase = .judging(head)
      deadline = nil
      find { [weak self] in self?.judged($0) }
    case .body(let limit, let finding):
      if case .length(let length) = head.framing, length > limit {
        throw HTTPRefusal(413, "tooLarge", "the body has more than \(limit) bytes")
      }
      phase = .body(head, limit: limit, finding: finding)
      guard head.framing != .none else { return }
      expire(after: server.limits.bodyTime)
      // Whoever already sends does not wait for the word.
      if head.expectsContinue, parser.buffered == 0 { stream.write("HTTP/1.1 100 Continue\r\n\r\n".utf8) }
    case .answer(let response):
      let mayKeep = head.keepsAlive && !response.closes && !server.isDraining
      let isSmall =
        switch head.framing {
        case .none: true
        case .length(let length): length <= Self.skippedBytes && !head.expectsContinue
        case .chunked: false
        }
      write(response, for: head, keepsAlive: mayKeep && isSmall)
      guard mayKeep, isSmall else { return linger() }
      phase = .skipping
      expire(after: server.limits.bodyTime)
    }
  }

  /// While one request is judged or answered, only so much of what follows is read.
  private func holdBack() {
    let isHeld =
      switch phase {
      case .judging, .answering: true
      default: false
      }
    guard isHeld else {
      if isReadingPaused, case .closed = phase {
      } else if isReadingPaused {
        isReadingPaused = false
        stream.resumeReading()
      }
      return
    }
    guard !isReadingPaused, parser.buffered > server.limits.pipelinedBytes else { return }
    isReadingPaused = true
    stream.pauseReading()
  }

  private func awaitNext() {
    phase = .head
    hasServed = true
    waitingSince = loop.now
    isHeadTimed = false
    expire(after: server.limits.idleTime)
  }

  private func refuse(_ refusal: HTTPRefusal) {
    // The framing of what follows is not known, or not to be trusted.
    write(.refusal(refusal), for: nil, keepsAlive: false)
    linger()
  }

  // MARK: Out

  func finish(_ exchange: HTTPExchange, with response: HTTPResponse) {
    let keepsAlive = exchange.head.keepsAlive && !response.closes && !server.isDraining
    write(response, for: exchange.head, keepsAlive: keepsAlive)
    goOn(keepsAlive)
  }

  func beginStream(_ status: Int, _ fields: [(name: String, value: String)], for head: RequestHead) {
    isChunked = !head.isOld
    isCongested = false
    // It may be long until there is a deadline again, and a timer without one wakes the loop for nothing.
    if let timer { loop.cancel(timer.timer) }
    timer = nil
    stream.write { bytes in
      server.writeHead(status, fields, for: head, into: &bytes)
      bytes += (isChunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Connection: close\r\n\r\n").utf8
    }
    watchStall()
  }

  func send(_ piece: [UInt8]) {
    let isTaken = stream.write { bytes in
      guard isChunked else {
        bytes += piece
        return
      }
      bytes += String(piece.count, radix: 16).utf8
      bytes += [HTTPBytes.cr, HTTPBytes.lf]
      bytes += piece
      bytes += [HTTPBytes.cr, HTTPBytes.lf]
    }
    guard isTaken else { return abandon() }
    watchStall()
    guard stream.queuedBytes > server.limits.congestionBytes, !isCongested else { return }
    isCongested = true
    if case .answering(let exchange) = phase { exchange.onCongestion?(true) }
  }

  func finishStream(_ exchange: HTTPExchange) {
    if isChunked { stream.write("0\r\n\r\n".utf8) }
    goOn(isChunked && exchange.head.keepsAlive && !server.isDraining)
  }

  private func goOn(_ keepsAlive: Bool) {
    guard keepsAlive else { return linger() }
    awaitNext()
    process()
  }

  private func sent() {
    if let stall { loop.cancel(stall.timer) }
    stall = nil
    guard isCongested else { return }
    isCongested = false
    if case .answering(let exchange) = phase { exchange.onCongestion?(false) }
  }

  private func write(_ response: HTTPResponse, for head: RequestHead?, keepsAlive: Bool) {
    let isTaken = stream.write { bytes in
      server.writeHead(response.status, response.fields, for: head, into: &bytes)
      if response.status != 204, response.status != 304 {
        bytes += "Content-Length: \(response.body.count)\r\n".utf8
      }
      bytes += (keepsAlive ? "\r\n" : "Connection: close\r\n\r\n").utf8
      if head?.method != .head { bytes += response.body }
    }
    if !isTaken { return abandon() }
    watchStall()
  }

  /// A client that takes nothing for a while is given up.
  private func watchStall() {
    guard stall == nil else { return }
    let sent = stream.sentBytes
    let timer = loop.schedule(after: server.limits.stallTime) { [weak self] in
      guard let self else { return }
      stall = nil
      guard stream.queuedBytes > 0 else { return }
      if stream.sentBytes == sent { abandon() } else { watchStall() }
    }
    stall = (timer, sent)
  }

  // MARK: Time

  private func expire(after time: Duration) {
    let due = loop.now.advanced(by: time)
    deadline = due
    if let timer {
      // It looks again when it fires.
      if timer.due <= due { return }
      loop.cancel(timer.timer)
    }
    arm(at: due)
  }

  private func arm(at due: LoopInstant) {
    timer = (loop.schedule(after: loop.now.duration(to: due)) { [weak self] in self?.fired() }, due)
  }

  private func fired() {
    timer = nil
    guard let deadline else { return }
    guard deadline <= loop.now else { return arm(at: deadline) }
    switch phase {
    case .head where parser.buffered == 0: close()
    case .head: refuse(HTTPRefusal(408, "timeout", "the request's head did not come in time"))
    case .body: refuse(HTTPRefusal(408, "timeout", "the request's body did not come in time"))
    case .skipping, .lingering: close()
    case .judging, .answering, .closed: break
    }
  }

  // MARK: Ending

  /// Closes once the last response is sent and the client has had time to read it: closing with unread bytes makes the
  /// kernel reset the connection, and the client may lose what it was told (RFC 9112 section 9.6).
  private func linger() {
    if case .closed = phase { return }
    phase = .lingering
    parser = RequestParser(limits: server.limits)
    stream.finishWriting()
    expire(after: server.limits.lingerTime)
    holdBack()
  }

  /// Ends a connection that has no request; others end with the response that they wait for.
  func drain() {
    if case .head = phase { close() }
  }

  /// The client does not take what it is sent, or is over its time.
  func abandon() {
    let exchange = if case .answering(let exchange) = phase { exchange as HTTPExchange? } else { nil as HTTPExchange? }
    close()
    exchange?.lost()
  }

  func close() {
    stream.close()
    forget()
  }

  private func ended() {
    let exchange = if case .answering(let exchange) = phase { exchange as HTTPExchange? } else { nil as HTTPExchange? }
    forget()
    exchange?.lost()
  }

  private func forget() {
    if case .closed = phase { return }
    phase = .closed
    deadline = nil
    if let timer { loop.cancel(timer.timer) }
    timer = nil
    if let stall { loop.cancel(stall.timer) }
    stall = nil
    server.forget(self)
  }
}
