import CFloors
import CLinux
import Glibc

/// One kept-alive connection to an HTTP server. Finds what it needs by searching, never by parsing, so that the bench
/// measures the server and not itself.
@safe final class HTTPPeer {
  let descriptor: CInt
  private var bytes: [UInt8] = []
  private var chunk = [UInt8](repeating: 0, count: 65_536)

  /// A response without its framing: the head's text, and the body's with whatever cuts it into chunks.
  struct Response {
    let head: String
    let body: String
  }

  init(port: Int) throws(BenchError) {
    descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw .last("socket") }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    let result = unsafe withUnsafeBytes(of: &address) { raw in
      unsafe connect(
        descriptor, raw.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
    }
    guard result == 0 else { throw .last("connect to port \(port)") }
    var isOn: CInt = 1
    unsafe setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(4))
  }

  deinit { close(descriptor) }

  /// Writes all of a request.
  func send(_ request: [UInt8]) throws(BenchError) {
    var done = 0
    while done < request.count {
      let count = unsafe request.withUnsafeBytes {
        unsafe write(descriptor, $0.baseAddress.unsafelyUnwrapped + done, request.count - done)
      }
      guard count > 0 else { throw .last("write to a server") }
      done += count
    }
  }

  /// Waits for bytes and takes what there is.
  func fill() throws(BenchError) {
    let count = unsafe read(descriptor, &chunk, chunk.count)
    if count < 0 { throw BenchError(errno == EINTR ? "a server did not answer in time" : "read from a server failed") }
    if count == 0 { throw BenchError("a server closed the connection") }
    bytes += chunk[..<count]
  }

  /// The end of the response that has arrived whole; nil while some of it is to come.
  private var end: Int? {
    guard let head = end(of: "\r\n\r\n", from: 0) else { return nil }
    if let field = end(of: "Content-Length: ", from: 0), field < head {
      var length = 0
      for byte in bytes[field...].prefix(while: { $0 != 13 }) { length = length * 10 + Int(byte &- 48) }
      return bytes.count >= head + length ? head + length : nil
    }
    // 202 and 204 have no body; all else comes in chunks.
    guard let field = end(of: "chunked", from: 0), field < head else { return head }
    return end(of: "\r\n0\r\n\r\n", from: head)
  }

  /// Takes a response that has arrived whole, and all of its bytes.
  func take() -> [UInt8]? {
    guard let end else { return nil }
    defer { bytes.removeFirst(end) }
    return end == bytes.count ? bytes : Array(bytes[..<end])
  }

  /// Waits for the next response.
  func next() throws(BenchError) -> Response {
    while true {
      if let response = take() {
        let text = String(decoding: response, as: UTF8.self)
        let place = text.firstRange(of: "\r\n\r\n")
        return Response(
          head: String(text[..<(place?.lowerBound ?? text.endIndex)]),
          body: String(text[(place?.upperBound ?? text.endIndex)...]))
      }
      try fill()
    }
  }

  /// Waits for the head of a response that has no end, and drops it.
  func skipHead() throws(BenchError) -> String {
    while true {
      if let head = end(of: "\r\n\r\n", from: 0) {
        defer { bytes.removeFirst(head) }
        return String(decoding: bytes[..<head], as: UTF8.self)
      }
      try fill()
    }
  }

  /// Whether what has arrived holds a text; if so, all of it is dropped.
  func sees(_ text: StaticString) -> Bool {
    guard end(of: text, from: 0) != nil else { return false }
    bytes.removeAll(keepingCapacity: true)
    return true
  }

  private func end(of text: StaticString, from place: Int) -> Int? {
    let found = unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress, place < buffer.count else { return -1 }
      return unsafe bench_find_end(base + place, buffer.count - place, text.utf8Start, text.utf8CodeUnitCount)
    }
    return found < 0 ? nil : place + found
  }
}

extension HTTPPeer {
  /// Sends `count` requests, each when the one before is answered; `request` writes one into the buffer.
  func exchange(
    count: Int, request: (Int, inout [UInt8]) -> Void, answer: (Int, [UInt8]) -> Void
  ) throws(BenchError) -> Exchange {
    var latencies: [Nanoseconds] = []
    latencies.reserveCapacity(count)
    var buffer: [UInt8] = []
    let begun = now()
    for index in 0..<count {
      buffer.removeAll(keepingCapacity: true)
      request(index, &buffer)
      let sent = now()
      try send(buffer)
      var response = take()
      while response == nil {
        try fill()
        response = take()
      }
      latencies.append(now() - sent)
      answer(index, response ?? [])
    }
    return Exchange(latencies: latencies, seconds: Double(now() - begun) / 1e9)
  }

  /// Sends `count` requests over several connections, one outstanding on each.
  static func contest(
    _ peers: [HTTPPeer], count: Int, request: (Int, inout [UInt8]) -> Void, answer: (Int, [UInt8]) -> Void
  ) throws(BenchError) -> Exchange {
    var readiness = Readiness(descriptors: peers.map(\.descriptor))
    var latencies: [Nanoseconds] = []
    latencies.reserveCapacity(count)
    var pending = [(index: Int, sent: Nanoseconds)](repeating: (0, 0), count: peers.count)
    var sent = 0
    var buffer: [UInt8] = []
    func ask(_ place: Int) throws(BenchError) {
      buffer.removeAll(keepingCapacity: true)
      request(sent, &buffer)
      pending[place] = (sent, now())
      sent += 1
      try peers[place].send(buffer)
    }
    let begun = now()
    for place in peers.indices where sent < count { try ask(place) }
    while latencies.count < count {
      let ready = readiness.wait(milliseconds: 30_000)
      if ready.isEmpty { throw BenchError("no request was answered for 30 s") }
      for place in ready {
        try peers[place].fill()
        guard let response = peers[place].take() else { continue }
        latencies.append(now() - pending[place].sent)
        answer(pending[place].index, response)
        if sent < count { try ask(place) }
      }
    }
    return Exchange(latencies: latencies, seconds: Double(now() - begun) / 1e9)
  }
}
