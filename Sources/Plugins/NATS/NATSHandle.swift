import CNats
import Glibc
import ParleyRuntime

/// One connection of cnats, in its external event loop mode: the loop reads and writes, the library parses and frames.
///
/// Its own reconnect is off: it would keep posts of a lost connection and send them at some later time, and the
/// supervisor reconnects already.
//
// @unchecked: made on the thread that dialled, then confined to the loop until `close`, which is the last use.
@safe final class NATSHandle: @unchecked Sendable {
  private let connection: OpaquePointer
  private let number: UInt
  private let events: ConnectionEvents
  private var subscriptions: [OpaquePointer] = unsafe []
  private var watch: Watch?
  /// Messages that nobody needs any more, and about how much memory they hold.
  private var buried: [OpaquePointer] = unsafe []
  private var buriedBytes = 0
  private var isBurialDue = false
  private var isFlushScheduled = false
  /// `flush`, as it is handed to the loop turn after turn.
  private lazy var flushAtEnd: () -> Void = { [weak self] in self?.flush() }
  /// The library has something to write.
  private var wantsWrite = false
  /// It waits until the socket takes more.
  private var watchesWrite = false
  private var isClosed = false

  private init(_ connection: OpaquePointer, number: UInt, events: ConnectionEvents) {
    unsafe self.connection = connection
    self.number = number
    self.events = events
  }

  // MARK: Life

  /// Connects to one server, which blocks for up to the connect timeout: not on the loop.
  static func dial(
    _ server: ServerAddress, _ options: NATSOptions, events: ConnectionEvents
  ) throws(NATSFailure) -> NATSHandle {
    // The library's threads are born of this one. As batch work they do not push the loop's thread off its processor
    // whenever they are woken, which the one that frees messages is by each message.
    parley_become_batch()
    let number = ConnectionRegistry.add(events)
    var settings: OpaquePointer?
    unsafe natsOptions_Create(&settings)
    defer { unsafe natsOptions_Destroy(settings) }
    do throws(NATSFailure) {
      try unsafe configure(settings, server, options, number: number)
      var connection: OpaquePointer?
      try check(unsafe natsConnection_Connect(&connection, settings))
      guard let connection = unsafe connection else { throw NATSFailure(status: NATS_ERR, text: "no connection") }
      return unsafe NATSHandle(connection, number: number, events: events)
    } catch {
      ConnectionRegistry.remove(number)
      throw error
    }
  }

  private static func configure(
    _ settings: OpaquePointer?, _ server: ServerAddress, _ options: NATSOptions, number: UInt
  ) throws(NATSFailure) {
    let token = unsafe UnsafeMutableRawPointer(bitPattern: number)
    let steps: [() -> natsStatus] = [
      { unsafe natsOptions_SetURL(settings, server.url) },
      { unsafe natsOptions_SetName(settings, "parley") },
      { unsafe natsOptions_SetTimeout(settings, options.connectTimeout.milliseconds) },
      { unsafe natsOptions_SetAllowReconnect(settings, false) },
      // The backend asks for signs of life itself, on the loop; cnats would from a timer thread of its own.
      { unsafe natsOptions_SetPingInterval(settings, 86_400_000) },
      // Without it a publish waits up to a millisecond for the library's flusher thread.
      { unsafe natsOptions_SetSendAsap(settings, true) },
      { unsafe natsOptions_SetIOBufSize(settings, 65_536) },
      { unsafe natsOptions_SetErrorHandler(settings, errorArrived, token) },
      { unsafe natsOptions_SetClosedCB(settings, closedArrived, token) },
      { unsafe natsOptions_SetLameDuckModeCB(settings, lameDuckArrived, token) },
      { unsafe natsOptions_SetEventLoop(settings, token, attached, readChanged, writeChanged, detached) },
    ]
    for step in steps { try check(step()) }
    try unsafe authenticate(settings, options.credentials)
    try unsafe protect(settings, server, options.tls)
  }

  private static func authenticate(
    _ settings: OpaquePointer?, _ credentials: NATSOptions.Credentials
  ) throws(NATSFailure) {
    switch credentials {
    case .none: break
    case .user(let name, let password): try check(unsafe natsOptions_SetUserInfo(settings, name, password))
    case .token(let token): try check(unsafe natsOptions_SetToken(settings, token))
    case .credentialsFile(let path):
      try check(unsafe natsOptions_SetUserCredentialsFromFiles(settings, path, nil))
    case .nkeySeedFile(let path):
      let key = try NKey(seedFile: path)
      try check(unsafe natsOptions_SetNKeyFromSeed(settings, key.publicText, path))
    }
  }

  private static func protect(
    _ settings: OpaquePointer?, _ server: ServerAddress, _ tls: NATSOptions.TLS
  ) throws(NATSFailure) {
    if server.isClear { return }
    if tls.isRequired || tls != NATSOptions.TLS() || server.asksForTLS {
      try check(unsafe natsOptions_SetSecure(settings, true))
    }
    if let path = tls.authorityFile { try check(unsafe natsOptions_LoadCATrustedCertificates(settings, path)) }
    if let path = tls.certificateFile {
      try check(unsafe natsOptions_LoadCertificatesChain(settings, path, tls.keyFile))
    }
    // Also where only the server asks for TLS: without a name cnats accepts any certificate of a trusted authority.
    try check(unsafe natsOptions_SetExpectedHostname(settings, tls.serverName ?? server.certificateName))
  }

  /// What is called on the loop for what arrives.
  struct Receiver {
    /// For each message.
    let message: (borrowing NATSMessage) -> Void
    /// Nobody listens to one of the subjects that something was sent to since the last such call; the library does not
    /// tell which.
    let nobody: () -> Void
  }

  /// Lets the library read and write from here on.
  func start(_ take: Receiver) throws(SystemError) {
    events.onWriteWanted = { [weak self] in self?.wantWrite($0) }
    events.onDetach = { [weak self] in self?.unwatch() }
    watch = try events.loop.watch(events.socket, for: .read) { [weak self] ready in self?.ready(ready, take) }
  }

  /// Ends the connection without any more callbacks here; the library's part is done on a thread of its own.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    unwatch()
    events.onWriteWanted = nil
    events.onDetach = nil
    events.onEvent = nil
    ConnectionRegistry.remove(number)
    destroyBuried()
    let remains = unsafe Remains(subscriptions: subscriptions, connection: connection)
    unsafe subscriptions = []
    // Destroying joins the library's own threads. Without a thread to spare it is done here.
    guard let thread = try? EventLoop.thread(named: "nats-close") else { return remains.destroy() }
    thread.execute { remains.destroy() }
    thread.stop()
  }

  deinit { close() }

  // MARK: The loop's part

  private func ready(_ ready: Readiness, _ take: Receiver) {
    if ready.contains(.write) { unsafe natsConnection_ProcessWriteEvent(connection) }
    guard ready.contains(.read) || ready.contains(.hangUp) else { return }
    unsafe natsConnection_ProcessReadEvent(connection)
    // What was read is in the subscriptions' queues now.
    for index in unsafe subscriptions.indices {
      // Counted first: to be told that there is none costs as much as a message, since the library words an error.
      var queued: UInt64 = 0
      unsafe natsSubscription_QueuedMsgs(subscriptions[index], &queued)
      while queued > 0, !isClosed {
        queued -= 1
        switch unsafe NATSMessage.next(of: subscriptions[index]) {
        case .message(let message):
          take.message(message)
          unsafe bury(message.release())
        case .nobody: take.nobody()
        case .nothing: queued = 0
        }
      }
      if isClosed { return destroyBuried() }
    }
  }

  /// The library says so once for all that it has buffered, and takes it back when all is out; what a turn publishes
  /// leaves together at its end.
  private func wantWrite(_ isWanted: Bool) {
    wantsWrite = isWanted
    if isWanted, !isFlushScheduled {
      isFlushScheduled = true
      events.loop.atEndOfTurn(flushAtEnd)
    } else if !isWanted, watchesWrite {
      watchesWrite = false
      if let watch { events.loop.rewatch(watch, for: .read) }
    }
  }

  private func flush() {
    isFlushScheduled = false
    guard watch != nil, !isClosed, !watchesWrite else { return }
    unsafe natsConnection_ProcessWriteEvent(connection)
    // What the socket does not take now, it takes when it is ready.
    guard wantsWrite, let watch else { return }
    watchesWrite = true
    events.loop.rewatch(watch, for: [.read, .write])
  }

  private func unwatch() {
    if let watch { events.loop.unwatch(watch) }
    watch = nil
  }

  /// Destroys messages by the hundred: cnats frees them on a thread of its own, and to wake that costs more than all else
  /// that is done for a message. While it frees, this thread best allocates nothing, since each locks the other out of
  /// the heap: so it is done behind all that the turn writes, before the loop sleeps.
  private func bury(_ message: OpaquePointer) {
    unsafe buried.append(message)
    buriedBytes += Int(unsafe natsMsg_GetDataLength(message))
    guard !isBurialDue, unsafe buried.count >= 512 || buriedBytes >= 256 << 10 else { return }
    isBurialDue = true
    events.loop.atEndOfTurn { [weak self] in
      self?.events.loop.atEndOfTurn { [weak self] in self?.destroyBuried() }
    }
  }

  private func destroyBuried() {
    isBurialDue = false
    for index in unsafe buried.indices { unsafe natsMsg_Destroy(buried[index]) }
    unsafe buried.removeAll(keepingCapacity: true)
    buriedBytes = 0
  }

  // MARK: Talking

  /// Subscribes; its messages come to `take` of `start`.
  func subscribe(_ subject: String) throws(NATSFailure) {
    var subscription: OpaquePointer?
    try Self.check(unsafe natsConnection_SubscribeSync(&subscription, connection, subject))
    guard let subscription = unsafe subscription else { return }
    // The queue holds no more than one read brings, since it is emptied after each.
    unsafe natsSubscription_SetPendingLimits(subscription, -1, -1)
    unsafe subscriptions.append(subscription)
  }

  /// Hands a message to the library, which writes it at the end of the turn.
  func publish(
    _ data: [UInt8], to subject: String, reply: String? = nil, headers: WireHeaders? = nil
  ) throws(NATSFailure) {
    guard !isClosed else { throw NATSFailure(status: NATS_CONNECTION_CLOSED, text: "closed") }
    guard let headers else {
      let status = unsafe data.withUnsafeBytes { bytes in
        unsafe Self.withCStrings(subject, reply) { subject, reply in
          let (start, count) = (bytes.baseAddress, CInt(bytes.count))
          guard let reply = unsafe reply else {
            return unsafe natsConnection_Publish(connection, subject, start, count)
          }
          return unsafe natsConnection_PublishRequest(connection, subject, reply, start, count)
        }
      }
      return try Self.check(status)
    }
    var message: OpaquePointer?
    let made = unsafe data.withUnsafeBytes { bytes in
      unsafe Self.withCStrings(subject, reply) { subject, reply in
        unsafe natsMsg_Create(
          &message, subject, reply, bytes.assumingMemoryBound(to: CChar.self).baseAddress, CInt(bytes.count))
      }
    }
    try Self.check(made)
    guard let message = unsafe message else { throw NATSFailure(status: NATS_NO_MEMORY, text: "no memory") }
    defer { unsafe bury(message) }
    try unsafe Self.set("Nats-Msg-Id", headers.key, of: message)
    try unsafe Self.set("Parley-Instance", headers.instance, of: message)
    try unsafe Self.set("Parley-To", headers.to, of: message)
    try unsafe Self.set("Parley-Attributes", headers.attributes, of: message)
    try Self.check(unsafe natsConnection_PublishMsg(connection, message))
  }

  private static func set(_ name: StaticString, _ value: String?, of message: OpaquePointer) throws(NATSFailure) {
    guard let value else { return }
    try check(unsafe value.withCString { unsafe natsMsgHeader_Set(message, name.cString, $0) })
  }

  /// Lends both as C reads them, the second as NULL where it is nil; passed as they are, each would be copied to the heap.
  private static func withCStrings(
    _ first: String, _ second: String?, _ body: (UnsafePointer<CChar>, UnsafePointer<CChar>?) -> natsStatus
  ) -> natsStatus {
    unsafe first.withCString { first in
      guard let second else { return unsafe body(first, nil) }
      return unsafe second.withCString { unsafe body(first, $0) }
    }
  }

  // MARK: Facts

  /// The largest message the server takes, headers included, in bytes.
  var maximumPayload: Int { Int(unsafe natsConnection_GetMaxPayload(connection)) }

  /// The URL of the server that answered.
  var connectedURL: String {
    var buffer = [CChar](repeating: 0, count: 512)
    guard unsafe natsConnection_GetConnectedUrl(connection, &buffer, buffer.count) == NATS_OK else { return "" }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// The servers that the cluster has told of, without those that were configured.
  var discoveredServers: [String] {
    var list: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    var count: CInt = 0
    guard unsafe natsConnection_GetDiscoveredServers(connection, &list, &count) == NATS_OK, let list = unsafe list
    else { return [] }
    defer { unsafe free(list) }
    return (0..<Int(count)).compactMap { index in
      guard let text = unsafe list[index] else { return nil }
      defer { unsafe free(text) }
      return unsafe String(cString: text)
    }
  }

  /// The library's version.
  static var libraryVersion: String { unsafe String(cString: nats_GetVersion()) }

  fileprivate static func check(_ status: natsStatus) throws(NATSFailure) {
    guard status != NATS_OK else { return }
    var last = NATS_OK
    let detail = unsafe nats_GetLastError(&last).map { unsafe String(cString: $0) } ?? ""
    let text = unsafe String(cString: natsStatus_GetText(status))
    throw NATSFailure(status: status, text: last == status && !detail.isEmpty ? "\(text): \(detail)" : text)
  }
}

/// What `close` leaves for another thread to destroy.
//
// @unchecked: handed over whole; nobody else has the pointers any more.
@safe private struct Remains: @unchecked Sendable {
  let subscriptions: [OpaquePointer]
  let connection: OpaquePointer

  init(subscriptions: [OpaquePointer], connection: OpaquePointer) {
    unsafe self.subscriptions = subscriptions
    unsafe self.connection = connection
  }

  func destroy() {
    for index in unsafe subscriptions.indices { unsafe natsSubscription_Destroy(subscriptions[index]) }
    unsafe natsConnection_Destroy(connection)
  }
}

// MARK: cnats' callbacks, on any thread. Nonisolated functions: a closure would inherit its context's isolation.

private func events(of token: UnsafeMutableRawPointer?) -> ConnectionEvents? {
  ConnectionRegistry.events(UInt(bitPattern: token))
}

private func failure(_ connection: OpaquePointer?, _ status: natsStatus) -> NATSFailure {
  var text: UnsafePointer<CChar>?
  let last = unsafe natsConnection_GetLastError(connection, &text)
  let detail = unsafe text.map { unsafe String(cString: $0) } ?? ""
  let known = status == NATS_OK ? last : status
  return NATSFailure(
    status: known, text: detail.isEmpty ? unsafe String(cString: natsStatus_GetText(known)) : detail)
}

private func attached(
  _ userData: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ token: UnsafeMutableRawPointer?,
  _ connection: OpaquePointer?, _ socket: natsSock
) -> natsStatus {
  unsafe userData?.pointee = token
  unsafe events(of: token)?.attach(socket)
  return NATS_OK
}

private func readChanged(_ token: UnsafeMutableRawPointer?, _ isWanted: Bool) -> natsStatus {
  if !isWanted { unsafe events(of: token)?.detach() }
  return NATS_OK
}

private func writeChanged(_ token: UnsafeMutableRawPointer?, _ isWanted: Bool) -> natsStatus {
  unsafe events(of: token)?.wantWrite(isWanted)
  return NATS_OK
}

private func detached(_ token: UnsafeMutableRawPointer?) -> natsStatus {
  unsafe events(of: token)?.detach()
  return NATS_OK
}

private func errorArrived(
  _ connection: OpaquePointer?, _ subscription: OpaquePointer?, _ status: natsStatus,
  _ token: UnsafeMutableRawPointer?
) {
  // The text of this error; the connection's last one may be another's by now.
  var last = NATS_OK
  let own = unsafe nats_GetLastError(&last).map { unsafe String(cString: $0) }
  let told = last == status ? own.map { NATSFailure(status: status, text: $0) } : nil
  unsafe events(of: token)?.tell(.refused(told ?? failure(connection, status)))
}

private func closedArrived(_ connection: OpaquePointer?, _ token: UnsafeMutableRawPointer?) {
  unsafe events(of: token)?.tell(.closed(failure(connection, NATS_OK)))
}

private func lameDuckArrived(_ connection: OpaquePointer?, _ token: UnsafeMutableRawPointer?) {
  unsafe events(of: token)?.tell(.lameDuck)
}
