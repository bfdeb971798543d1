import ParleyHTTPServer
import ParleyRuntime

/// Open pages: each is told that something changed, and reads itself anew. Confined to the loop.
///
/// What is told carries nothing of the conversation, and news in a row are one. A stream ends with its login.
//
// @unchecked: confined to the loop's thread.
final class ConsoleStreams: @unchecked Sendable {
  private static let limit = 64
  private static let change = Array("data: changed\n\n".utf8)
  /// News within this time are told as one.
  private static let pause: Duration = .milliseconds(50)

  private struct Stream {
    let exchange: HTTPExchange
    let login: String
    var isCongested = false
    /// Something changed while it was congested.
    var isOwed = false
  }

  private let loop: EventLoop
  private let keepAlive: Duration
  private let checkInterval: Duration
  private let counts: (_ login: String) -> Bool
  private var streams: [ObjectIdentifier: Stream] = [:]
  private var telling: LoopTimer?
  private var beating: LoopTimer?
  private var checking: LoopTimer?
  private var expected: (timer: LoopTimer, at: Int64)?
  private var isEnding = false

  /// `counts` says whether a login still does; it is asked every `checkInterval` while a stream is open.
  init(
    loop: EventLoop, keepAlive: Duration, checkInterval: Duration, counts: @escaping (_ login: String) -> Bool
  ) {
    self.loop = loop
    self.keepAlive = keepAlive
    self.checkInterval = checkInterval
    self.counts = counts
  }

  /// Streams that are open.
  var count: Int { streams.count }

  func open(_ exchange: HTTPExchange, login: String) {
    guard !isEnding, streams.count < Self.limit else {
      return exchange.answer(
        .refusal(HTTPRefusal(503, "unavailable", "too many open pages"), fields: [("Retry-After", "10")]))
    }
    let id = ObjectIdentifier(exchange)
    streams[id] = Stream(exchange: exchange, login: login)
    exchange.onGone = { [weak self] in self?.streams[id] = nil }
    exchange.onCongestion = { [weak self] in self?.congested(id, $0) }
    exchange.beginStream(200, fields: EventText.fields)
    exchange.send(EventText.keepAlive)
    if beating == nil { beatLater() }
    if checking == nil { checkLater() }
  }

  private func congested(_ id: ObjectIdentifier, _ isCongested: Bool) {
    streams[id]?.isCongested = isCongested
    guard !isCongested, streams[id]?.isOwed == true else { return }
    streams[id]?.isOwed = false
    streams[id]?.exchange.send(Self.change)
  }

  // MARK: News

  /// Something changed.
  func tell() {
    guard telling == nil, !streams.isEmpty else { return }
    telling = loop.schedule(after: Self.pause) { [weak self] in
      guard let self else { return }
      telling = nil
      for (id, stream) in streams {
        if stream.isCongested { streams[id]?.isOwed = true } else { stream.exchange.send(Self.change) }
      }
    }
  }

  /// Something will have changed at a time by the wall clock, in milliseconds.
  func expect(_ time: Int64) {
    let now = loop.wallClockMilliseconds
    guard time > now, !isEnding, expected.map({ time < $0.at || $0.at <= now }) ?? true else { return }
    if let expected { loop.cancel(expected.timer) }
    let timer = loop.schedule(after: .milliseconds(time - now + 1)) { [weak self] in
      self?.expected = nil
      self?.tell()
    }
    expected = (timer, time)
  }

  private func beatLater() {
    beating = loop.schedule(after: keepAlive) { [weak self] in
      guard let self else { return }
      beating = nil
      for stream in streams.values where !stream.isCongested { stream.exchange.send(EventText.keepAlive) }
      if !streams.isEmpty { beatLater() }
    }
  }

  // MARK: Ending

  private func checkLater() {
    checking = loop.schedule(after: checkInterval) { [weak self] in
      guard let self else { return }
      checking = nil
      for stream in Array(streams.values) where !counts(stream.login) { end(stream) }
      if !streams.isEmpty { checkLater() }
    }
  }

  private func end(_ stream: Stream) {
    streams[ObjectIdentifier(stream.exchange)] = nil
    stream.exchange.endStream()
  }

  /// A browser logged out.
  func end(login: String) {
    for stream in Array(streams.values) where stream.login == login { end(stream) }
  }

  func endAll() {
    isEnding = true
    for stream in Array(streams.values) { end(stream) }
    for timer in [telling, beating, checking, expected?.timer].compactMap({ $0 }) { loop.cancel(timer) }
    (telling, beating, checking, expected) = (nil, nil, nil, nil)
  }
}
