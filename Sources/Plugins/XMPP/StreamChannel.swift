import ParleyRuntime

/// The XML stream over a byte stream: elements out, events in; confined to its loop.
///
/// Until `goLive` events are taken one by one by `next`, and nothing more is read while one waits, so that encryption
/// and authentication begin at an exact place.
//
// @unchecked: confined to the loop's thread.
final class StreamChannel: @unchecked Sendable {
  let loop: EventLoop
  private let stream: ByteStream
  private var parser = XMLHandle()
  private var inbox: [StreamEvent] = []
  private let arrivals: Waiters<Void>
  private var ending: SeamError?
  private var onEvent: ((StreamEvent) -> Void)?
  private var onEnd: ((SeamError) -> Void)?
  private(set) var isEncrypted: Bool
  /// When the peer was last heard of.
  private(set) var lastReceived: LoopInstant

  init(_ stream: ByteStream, isEncrypted: Bool) {
    self.stream = stream
    self.isEncrypted = isEncrypted
    loop = stream.loop
    arrivals = Waiters(loop: stream.loop)
    lastReceived = stream.loop.now
    stream.pauseReading()
    stream.start(
      onBytes: { [weak self] in self?.take($0) }, onClose: { [weak self] in self?.end($0) })
  }

  private var operation: String { "speak to \(stream.endpoint)" }

  // MARK: Out

  /// Sends an element; false where the stream is closed or its queue is full.
  @discardableResult
  func send(_ element: XMLElement) -> Bool { stream.write { element.write(into: &$0, within: Namespace.client) } }

  /// Sends what is written already.
  @discardableResult
  func send(bytes: [UInt8]) -> Bool { stream.write(bytes) }

  func send(text: String) { stream.write(text.utf8) }

  /// Begins a new stream on the connection: the peer answers with one of its own.
  func openStream(to domain: String) {
    parser = XMLHandle()
    inbox = []
    var header: [UInt8] = Array("<?xml version='1.0'?><stream:stream to=\"".utf8)
    XMLText.escapeAttribute(domain, into: &header)
    header += "\" xmlns=\"jabber:client\" xmlns:stream=\"\(Namespace.streams)\" version=\"1.0\">".utf8
    stream.write(header)
  }

  var hasRoom: Bool { stream.hasRoom }

  func room(until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation) async -> Bool {
    await stream.room(until: deadline)
  }

  // MARK: Encryption

  /// Encrypts from here on. Throws `unauthorized` for clear text that came behind the word to begin.
  func encrypt(
    with cipher: any StreamCipher, until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) {
    try stream.upgrade(with: cipher, unreadBytes: parser.unreadBytes + inbox.count)
    try await stream.secured(until: deadline)
    isEncrypted = true
  }

  /// Throws where the peer sent more than it was asked for before a new stream begins.
  func expectNothingUnread() throws(SeamError) {
    guard parser.unreadBytes == 0, inbox.isEmpty else {
      throw SeamError(
        .unauthorized, operation: operation, cause: "the server sent more than was due: somebody may be tampering")
    }
  }

  var channelBinding: [UInt8]? { stream.channelBinding }

  // MARK: In

  /// The next event; throws at the deadline or when the stream has ended.
  func next(
    until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> StreamEvent {
    while inbox.isEmpty {
      if let ending { throw ending }
      let ticket = arrivals.ticket()
      stream.resumeReading()
      switch await arrivals.wait(ticket, until: deadline) {
      case .value: continue
      case .timedOut:
        throw SeamError(.unavailable, operation: operation, cause: "the server did not answer in time")
      case .cancelled: throw SeamError(.cancelled, operation: operation, cause: "the caller cancelled")
      }
    }
    return inbox.removeFirst()
  }

  /// From now on events are handed over as they come, those that wait first.
  func goLive(onEvent: @escaping (StreamEvent) -> Void, onEnd: @escaping (SeamError) -> Void) {
    self.onEvent = onEvent
    self.onEnd = onEnd
    let waiting = inbox
    inbox = []
    for event in waiting { self.onEvent?(event) }
    if let ending {
      self.onEnd = nil
      return onEnd(ending)
    }
    stream.resumeReading()
  }

  private func take(_ bytes: RawSpan) {
    lastReceived = loop.now
    let events: [StreamEvent]
    do throws(XMLHandle.ProtocolFailure) { events = try parser.feed(bytes) } catch {
      send(text: "<stream:error><not-well-formed xmlns='\(Namespace.streamErrors)'/></stream:error></stream:stream>")
      stream.close()
      return end(
        SeamError(
          .unavailable, operation: operation, cause: "what the server sends is no XMPP stream: \(error.text)"))
    }
    guard let onEvent else {
      guard !events.isEmpty else { return }
      inbox += events
      stream.pauseReading()
      return arrivals.resumeAll(())
    }
    for event in events where ending == nil { onEvent(event) }
  }

  // MARK: Ending

  var isOpen: Bool { ending == nil }

  /// Closes it after one last attempt to send what is queued; `onEnd` is not called.
  func close() {
    onEnd = nil
    onEvent = nil
    stream.close()
    end(SeamError(.unavailable, operation: operation, cause: "the connection was closed"))
  }

  private func end(_ error: SeamError) {
    guard ending == nil else { return }
    ending = error
    arrivals.resumeAll(())
    let tell = onEnd
    onEnd = nil
    onEvent = nil
    tell?(error)
  }
}
