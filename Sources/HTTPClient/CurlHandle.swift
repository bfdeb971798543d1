import CCurl
import ParleyRuntime

/// One request on its way through libcurl: the easy handle, what it borrows, and the answer so far. Confined to the loop.
//
// @unchecked: made, driven and freed on the client's loop; libcurl calls back on the thread that drives it.
@safe final class CurlTransfer: @unchecked Sendable {
  /// The key of the client's table of waiting callers.
  let ticket: UInt64
  fileprivate let easy: UnsafeMutableRawPointer
  private var headerList: UnsafeMutablePointer<curl_slist>?
  /// libcurl reads the body from here (CURLOPT_POSTFIELDS does not copy), so it never moves or changes.
  private let body: UnsafeMutableBufferPointer<UInt8>?
  private let limit: Int
  private var received: [UInt8] = []
  private var fields: [HTTPRequest.Header] = []
  private var isOverLimit = false
  /// A connection was there and the request, or part of it, may have been written to it. libcurl's own figures would not
  /// do: it sets them back when it repeats a request on another connection.
  fileprivate(set) var mayHaveArrived = false
  private let errorText: UnsafeMutablePointer<CChar>

  /// Sets up a request; throws `invalidRequest` for a URL or field that cannot be sent.
  init(_ request: HTTPRequest, ticket: UInt64, options: HTTPClientOptions) throws(HTTPFailure) {
    try Self.check(request)
    try CurlLibrary.load()
    guard let easy = unsafe parley_curl_new() else {
      throw HTTPFailure(.unreachable, cause: "libcurl has no memory for a request")
    }
    self.ticket = ticket
    unsafe self.easy = unsafe easy
    limit = request.responseLimit
    unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    if let bytes = request.body {
      let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
      _ = unsafe buffer.initialize(from: bytes)
      unsafe body = unsafe buffer
    } else {
      unsafe body = nil
    }
    for header in request.headers { unsafe headerList = unsafe parley_curl_append(headerList, Self.line(header)) }
    // Without it libcurl waits a second for "100 Continue" before it sends a body of more than 1 MiB.
    unsafe headerList = unsafe parley_curl_append(headerList, "Expect:")
    setUp(request, options)
  }

  deinit {
    unsafe parley_curl_free(easy)
    unsafe parley_curl_free_list(headerList)
    unsafe body?.deallocate()
    unsafe errorText.deallocate()
  }

  private static func line(_ header: HTTPRequest.Header) -> String {
    // "Name;" is libcurl's way of sending an empty field; "Name:" would remove it.
    header.value.isEmpty ? header.name + ";" : header.name + ": " + header.value
  }

  private static func check(_ request: HTTPRequest) throws(HTTPFailure) {
    let texts = [request.url] + request.headers.flatMap { [$0.name, $0.value] }
    guard texts.allSatisfy({ text in text.utf8.allSatisfy { $0 != 0 && $0 != 10 && $0 != 13 } }) else {
      throw HTTPFailure(.invalidRequest, cause: "a URL or header field has a line break or NUL")
    }
    guard request.url.hasPrefix("http://") || request.url.hasPrefix("https://") else {
      throw HTTPFailure(.invalidRequest, cause: "'\(request.url)' is no http or https URL")
    }
  }

  private func setUp(_ request: HTTPRequest, _ options: HTTPClientOptions) {
    unsafe parley_curl_set_string(easy, CURLOPT_URL, request.url)
    unsafe parley_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
    unsafe parley_curl_set_string(easy, CURLOPT_USERAGENT, options.userAgent)
    unsafe parley_curl_set_string(easy, CURLOPT_ACCEPT_ENCODING, "")
    unsafe parley_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
    unsafe parley_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0)
    unsafe parley_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Int(max(1, options.connectTimeout.milliseconds)))
    unsafe parley_curl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
    unsafe parley_curl_set_long(easy, CURLOPT_PIPEWAIT, 1)
    unsafe parley_curl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1)
    unsafe parley_curl_set_long(easy, CURLOPT_TCP_KEEPIDLE, 20)
    unsafe parley_curl_set_long(easy, CURLOPT_TCP_KEEPINTVL, 10)
    if options.onlyPublic { unsafe parley_curl_set_judge(easy, isPublicAddress) }
    if let path = options.certificateAuthorities { unsafe parley_curl_set_string(easy, CURLOPT_CAINFO, path) }
    unsafe parley_curl_set_headers(easy, headerList)
    unsafe parley_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
    switch request.method {
    case .get: unsafe parley_curl_set_long(easy, CURLOPT_HTTPGET, 1)
    case .head: unsafe parley_curl_set_long(easy, CURLOPT_NOBODY, 1)
    case .post, .put, .delete:
      unsafe parley_curl_set_long(easy, CURLOPT_POST, 1)
      unsafe parley_curl_set_string(easy, CURLOPT_CUSTOMREQUEST, request.method.rawValue)
      unsafe parley_curl_set_size(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body?.count ?? 0))
      if let start = unsafe body?.baseAddress {
        unsafe parley_curl_set_pointer(easy, CURLOPT_POSTFIELDS, start)
      } else {
        unsafe parley_curl_set_string(easy, CURLOPT_POSTFIELDS, "")
      }
    }
    // The multi handle's table keeps the transfer alive for as long as libcurl may call back.
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    unsafe parley_curl_set_pointer(easy, CURLOPT_PRIVATE, context)
    unsafe parley_curl_set_pointer(easy, CURLOPT_WRITEDATA, context)
    unsafe parley_curl_set_pointer(easy, CURLOPT_HEADERDATA, context)
    unsafe parley_curl_set_prerequest(easy, beginRequest, context)
    unsafe parley_curl_set_sink(easy, CURLOPT_WRITEFUNCTION, takeBody)
    unsafe parley_curl_set_sink(easy, CURLOPT_HEADERFUNCTION, takeHeaderLine)
  }

  fileprivate func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard received.count + bytes.count <= limit else {
      isOverLimit = true
      return false
    }
    unsafe received.append(contentsOf: bytes)
    return true
  }

  /// At most 256 fields and 64 KiB of them: libcurl itself allows 300 KiB.
  fileprivate func takeHeader(_ line: String) -> Bool {
    if line.hasPrefix("HTTP/") {
      // An interim answer (1xx) is followed by the one that counts.
      fields = []
      received = []
      return true
    }
    guard let colon = line.firstIndex(of: ":") else { return true }
    guard fields.count < 256 else {
      isOverLimit = true
      return false
    }
    let name = line[..<colon].lowercased()
    fields.append(HTTPRequest.Header(name, String(line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" })))
    return true
  }

  /// What became of it, once libcurl says that it ended.
  func outcome(_ result: CURLcode) -> Result<HTTPResponse, HTTPFailure> {
    guard result == CURLE_OK else { return .failure(failure(result)) }
    var status = 0
    var version = 0
    unsafe parley_curl_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
    unsafe parley_curl_get_long(easy, CURLINFO_HTTP_VERSION, &version)
    return .success(
      HTTPResponse(
        status: status, headers: fields, body: received, isHTTP2: version == Int(CURL_HTTP_VERSION_2_0)))
  }

  private func failure(_ result: CURLcode) -> HTTPFailure {
    if isOverLimit {
      return HTTPFailure(
        .responseTooLarge, mayHaveArrived: true, native: Int(result.rawValue),
        cause: "the answer is over \(limit) bytes, or has too many header fields")
    }
    let code: HTTPFailure.Code =
      switch result {
      case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM,
        CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_USE_SSL_FAILED:
        .untrusted
      case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: .invalidRequest
      default: mayHaveArrived ? .interrupted : .unreachable
      }
    let specific = unsafe String(cString: errorText)
    let general = unsafe parley_curl_error_text(result).map { unsafe String(cString: $0) } ?? "curl \(result.rawValue)"
    return HTTPFailure(
      code, mayHaveArrived: mayHaveArrived, native: Int(result.rawValue), cause: specific.isEmpty ? general : specific)
  }
}

/// libcurl's multi handle on an event loop (`curl_multi_socket_action`). Confined to the loop.
//
// @unchecked: used on its loop alone; `deinit`, which may run elsewhere, hands what it holds over to the loop.
@safe final class CurlHandle: @unchecked Sendable {
  private let loop: EventLoop
  private let multi: UnsafeMutableRawPointer
  private let ended: (CurlTransfer, CURLcode) -> Void
  private var transfers: [UInt64: CurlTransfer] = [:]
  private var watches: [CInt: Watch] = [:]
  private var timer: LoopTimer?

  /// `ended` is called on the loop for each transfer that libcurl finished; it is out of the handle by then.
  init(
    loop: EventLoop, _ options: HTTPClientOptions, ended: @escaping (CurlTransfer, CURLcode) -> Void
  ) throws(HTTPFailure) {
    try CurlLibrary.load()
    guard let multi = unsafe parley_curl_multi_new() else {
      throw HTTPFailure(.unreachable, cause: "libcurl has no memory for connections")
    }
    self.loop = loop
    unsafe self.multi = unsafe multi
    self.ended = ended
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    unsafe parley_curl_multi_set_callbacks(multi, socketChanged, timerChanged, context)
    unsafe parley_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, options.idleConnections)
    unsafe parley_curl_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, options.hostConnections)
  }

  deinit {
    // From here on libcurl must not call back; the loop's watches go with the connections.
    unsafe parley_curl_multi_set_callbacks(multi, nil, nil, nil)
    let remains = unsafe Remains(
      multi, transfers: Array(transfers.values), watches: Array(watches.values), timer: timer)
    loop.execute { [loop] in remains.free(on: loop) }
  }

  /// Starts a transfer.
  func start(_ transfer: CurlTransfer) {
    transfers[transfer.ticket] = transfer
    unsafe parley_curl_multi_add(multi, transfer.easy)
    // libcurl asks for a timeout of 0 by the timer callback; going on at once saves the turn.
    act(parley_curl_no_socket(), 0)
  }

  /// Takes a transfer out, whatever its state; its connection is closed unless others share it. Nil when it has ended.
  func remove(_ ticket: UInt64) -> CurlTransfer? {
    guard let transfer = transfers.removeValue(forKey: ticket) else { return nil }
    unsafe parley_curl_multi_remove(multi, transfer.easy)
    return transfer
  }

  private func act(_ socket: curl_socket_t, _ events: CInt) {
    unsafe parley_curl_multi_act(multi, socket, events)
    var result = CURLE_OK
    while let easy = unsafe parley_curl_multi_next_ended(multi, &result) {
      guard let context = unsafe parley_curl_private(easy) else { continue }
      let transfer = unsafe Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
      transfers[transfer.ticket] = nil
      unsafe parley_curl_multi_remove(multi, easy)
      ended(transfer, result)
    }
  }

  fileprivate func watch(_ socket: CInt, _ what: CInt) {
    guard what != CURL_POLL_REMOVE else {
      if let watch = watches.removeValue(forKey: socket) { loop.unwatch(watch) }
      return
    }
    var interest: Readiness = []
    if what == CURL_POLL_IN || what == CURL_POLL_INOUT { interest.insert(.read) }
    if what == CURL_POLL_OUT || what == CURL_POLL_INOUT { interest.insert(.write) }
    if let watch = watches[socket] { return loop.rewatch(watch, for: interest) }
    watches[socket] = try? loop.watch(socket, for: interest) { [weak self] ready in
      var events: CInt = 0
      if ready.contains(.read) { events |= CURL_CSELECT_IN }
      if ready.contains(.write) { events |= CURL_CSELECT_OUT }
      if ready.contains(.hangUp) { events |= CURL_CSELECT_ERR }
      self?.act(socket, events)
    }
  }

  /// libcurl must not be called from its own timer callback, so a timeout of 0 is one turn away too.
  fileprivate func setTimer(milliseconds: Int) {
    if let timer { loop.cancel(timer) }
    timer = nil
    guard milliseconds >= 0 else { return }
    timer = loop.schedule(after: .milliseconds(milliseconds)) { [weak self] in
      self?.timer = nil
      self?.act(parley_curl_no_socket(), 0)
    }
  }

  /// What a handle leaves behind that only its loop may free.
  //
  // @unchecked: made in the handle's deinit, when nobody else holds its parts, and used once, on the loop.
  @safe private struct Remains: @unchecked Sendable {
    private let multi: UnsafeMutableRawPointer
    private let transfers: [CurlTransfer]
    private let watches: [Watch]
    private let timer: LoopTimer?

    init(_ multi: UnsafeMutableRawPointer, transfers: [CurlTransfer], watches: [Watch], timer: LoopTimer?) {
      unsafe self.multi = unsafe multi
      self.transfers = transfers
      self.watches = watches
      self.timer = timer
    }

    func free(on loop: EventLoop) {
      if let timer { loop.cancel(timer) }
      for watch in watches { loop.unwatch(watch) }
      for transfer in transfers { unsafe parley_curl_multi_remove(multi, transfer.easy) }
      unsafe parley_curl_multi_free(multi)
    }
  }
}

// C callbacks are nonisolated functions: a closure written in isolated code gets a check that traps on other threads.

private func beginRequest(
  _ context: UnsafeMutableRawPointer?, _ remote: UnsafeMutablePointer<CChar>?, _ local: UnsafeMutablePointer<CChar>?,
  _ remotePort: CInt, _ localPort: CInt
) -> CInt {
  guard let context = unsafe context else { return CInt(CURL_PREREQFUNC_ABORT) }
  unsafe Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue().mayHaveArrived = true
  return CInt(CURL_PREREQFUNC_OK)
}

private func isPublicAddress(_ address: UnsafePointer<UInt8>?) -> CInt {
  guard let start = unsafe address else { return 0 }
  return IPAddress(bytes: unsafe Array(UnsafeBufferPointer(start: start, count: 16))).isPublic ? 1 : 0
}

private func takeBody(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let context = unsafe context else { return 0 }
  let transfer = unsafe Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
  return unsafe transfer.take(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
}

private func takeHeaderLine(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let context = unsafe context else { return 0 }
  let transfer = unsafe Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
  var line = unsafe UnsafeRawBufferPointer(start: bytes, count: size * count)[...]
  while let last = unsafe line.last, last == 10 || last == 13 || last == 32 { unsafe line.removeLast() }
  return transfer.takeHeader(unsafe String(decoding: line, as: UTF8.self)) ? size * count : 0
}

private func socketChanged(
  _ easy: UnsafeMutableRawPointer?, _ socket: curl_socket_t, _ what: CInt, _ context: UnsafeMutableRawPointer?,
  _ unused: UnsafeMutableRawPointer?
) -> CInt {
  guard let context = unsafe context else { return 0 }
  unsafe Unmanaged<CurlHandle>.fromOpaque(context).takeUnretainedValue().watch(socket, what)
  return 0
}

private func timerChanged(
  _ multi: UnsafeMutableRawPointer?, _ milliseconds: Int, _ context: UnsafeMutableRawPointer?
) -> CInt {
  guard let context = unsafe context else { return 0 }
  unsafe Unmanaged<CurlHandle>.fromOpaque(context).takeUnretainedValue().setTimer(milliseconds: milliseconds)
  return 0
}

/// The library, which is loaded by the first request of the process.
enum CurlLibrary {
  /// Why it cannot be had; nil once it is loaded.
  private static let refusal: String? = unsafe parley_curl_load().map { unsafe String(cString: $0) }

  static func load() throws(HTTPFailure) {
    if let refusal { throw HTTPFailure(.unreachable, cause: "HTTP needs libcurl (Debian: libcurl4): \(refusal)") }
  }

  /// Of `libcurl/7.88.1 OpenSSL/3.0.15 …`, the first number; `missing` where there is none.
  static var version: String {
    guard refusal == nil, let text = unsafe parley_curl_version() else { return "missing" }
    return String(unsafe String(cString: text).split(separator: " ").first?.split(separator: "/").last ?? "unknown")
  }
}
