import Glibc
import ParleyRuntime

/// A strict HTTP/1.1 server on one event loop (RFC 9110, RFC 9112). Confined to the loop.
///
/// What cannot be read without doubt is refused, and the connection closed. Every buffer and every wait has a bound.
//
// @unchecked: confined to the loop's thread.
package final class HTTPServer: @unchecked Sendable {
  package let loop: EventLoop
  package let limits: ServerLimits
  let application: any HTTPApplication
  /// Makes what encrypts a connection; nil where connections are clear.
  package var cipher: (@Sendable () -> (any StreamCipher)?)?
  /// Addresses that stand for many clients, whose connections are counted together with nobody's.
  package var proxies: [AddressRange] = []
  /// Lines of every response that does not have a line of that name itself.
  package var commonFields: [(name: String, value: String)] = [] {
    didSet {
      commonLines = commonFields.map { line in
        var bytes: [UInt8] = []
        Self.write(line.name, line.value, into: &bytes)
        return bytes
      }
    }
  }
  private var commonLines: [[UInt8]] = []
  private var listeners: [Listener] = []
  private var connections: [ObjectIdentifier: HTTPConnection] = [:]
  private var perClient: [IPAddress: Int] = [:]
  private let emptied: Waiters<Void>
  /// The most connections since memory was last given back.
  private var crowd = 0
  /// So many are a crowd, whose memory is given back when an eighth of it is left.
  private static let manyConnections = 512
  private(set) var isDraining = false
  private var dateSecond: Int64 = -1
  private var dateLine: [UInt8] = []

  package init(loop: EventLoop, limits: ServerLimits = ServerLimits(), application: any HTTPApplication) {
    self.loop = loop
    self.limits = limits
    self.application = application
    emptied = Waiters(loop: loop)
  }

  /// Listens at one more place, and says where: the kernel's port where 0 was asked for.
  @discardableResult
  package func listen(on endpoint: Endpoint) throws(SystemError) -> Endpoint {
    let listener = try Listener(loop: loop, endpoint: endpoint) { [weak self] descriptor, peer in
      guard let self else {
        Glibc.close(descriptor)
        return
      }
      take(descriptor, from: peer, at: endpoint)
    }
    listeners.append(listener)
    return listener.endpoint
  }

  /// Connections that are open.
  package var connectionCount: Int { connections.count }

  // MARK: Connections

  private func take(_ descriptor: CInt, from peer: IPAddress?, at endpoint: Endpoint) {
    let stream = ByteStream(
      loop: loop, descriptor: descriptor, endpoint: endpoint, queueLimit: limits.queueBytes, readSize: 8 << 10)
    if let peer, isCounted(peer), perClient[peer, default: 0] >= limits.connectionsPerClient {
      return turnAway(stream, HTTPRefusal(429, "tooManyRequests", "too many connections from this address"))
    }
    if connections.count >= limits.connections, !makeRoom() {
      return turnAway(stream, HTTPRefusal(503, "unavailable", "too many connections"))
    }
    if let cipher {
      guard let engine = cipher() else { return stream.close() }
      do throws(SeamError) { try stream.upgrade(with: engine) } catch { return stream.close() }
    }
    let connection = HTTPConnection(server: self, stream: stream, peer: peer)
    connections[ObjectIdentifier(connection)] = connection
    crowd = max(crowd, connections.count)
    if let peer, isCounted(peer) { perClient[peer, default: 0] += 1 }
    connection.start()
  }

  private func isCounted(_ peer: IPAddress) -> Bool {
    !peer.isLoopback && !proxies.contains { $0.contains(peer) }
  }

  /// Says why, where the client can read it, and closes.
  private func turnAway(_ stream: ByteStream, _ refusal: HTTPRefusal) {
    if cipher == nil {
      let response = HTTPResponse.refusal(refusal, fields: [("Retry-After", "10")])
      stream.write { bytes in
        writeHead(response.status, response.fields, for: nil, into: &bytes)
        bytes += "Content-Length: \(response.body.count)\r\nConnection: close\r\n\r\n".utf8
        bytes += response.body
      }
    }
    stream.close()
  }

  /// Closes the connection that has waited longest for its client to say something.
  private func makeRoom() -> Bool {
    let waiting = connections.values.filter(\.isWaiting)
    guard let oldest = waiting.min(by: { $0.waitingSince < $1.waitingSince }) else { return false }
    oldest.close()
    return true
  }

  func forget(_ connection: HTTPConnection) {
    guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
    if let peer = connection.peer, isCounted(peer), let count = perClient[peer] {
      perClient[peer] = count > 1 ? count - 1 : nil
    }
    if connections.isEmpty { emptied.resumeAll(()) }
    guard crowd >= Self.manyConnections, connections.count <= crowd / 8 else { return }
    crowd = connections.count
    loop.schedule(after: .milliseconds(500)) { FreeMemory.giveBack() }
  }

  // MARK: Ending

  /// Takes no further connections and no further requests, waits for the responses that are under way until `deadline`,
  /// then closes everything.
  package func drain(until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation) async {
    isDraining = true
    for listener in listeners { listener.close() }
    listeners = []
    for connection in connections.values { connection.drain() }
    while !connections.isEmpty {
      guard case .value = await emptied.wait(emptied.ticket(), until: deadline) else { break }
    }
    for connection in Array(connections.values) { connection.abandon() }
  }

  // MARK: Heads

  /// Appends the status line, the date and the given lines, without the empty line; those that the application has for
  /// the request too.
  func writeHead(
    _ status: Int, _ fields: [(name: String, value: String)], for head: RequestHead?, into bytes: inout [UInt8]
  ) {
    bytes += status == 200 ? Self.ok : Array("HTTP/1.1 \(status) \(StatusPhrase.of(status))\r\n".utf8)
    bytes += date()
    for (name, value) in fields { Self.write(name, value, into: &bytes) }
    for (line, encoded) in zip(commonFields, commonLines) where !fields.contains(where: { $0.name == line.name }) {
      bytes += encoded
    }
    guard let head else { return }
    for (name, value) in application.fields(for: head) { Self.write(name, value, into: &bytes) }
  }

  private static let ok = Array("HTTP/1.1 200 OK\r\n".utf8)

  private static func write(_ name: String, _ value: String, into bytes: inout [UInt8]) {
    bytes += name.utf8
    bytes.append(UInt8(ascii: ":"))
    bytes.append(HTTPBytes.space)
    // A line break in a value would begin a line of somebody else's making.
    for byte in value.utf8 { bytes.append(HTTPBytes.isFieldValue(byte) ? byte : HTTPBytes.space) }
    bytes.append(HTTPBytes.cr)
    bytes.append(HTTPBytes.lf)
  }

  /// RFC 9110 section 5.6.7, made once a second.
  private func date() -> [UInt8] {
    let second = loop.wallClockMilliseconds / 1000
    guard second != dateSecond else { return dateLine }
    dateSecond = second
    var time = time_t(second)
    var broken = unsafe tm()
    unsafe gmtime_r(&time, &broken)
    let (year, month, day) = unsafe (broken.tm_year + 1900, Int(broken.tm_mon), broken.tm_mday)
    let (weekday, hour, minute, tick) = unsafe (Int(broken.tm_wday), broken.tm_hour, broken.tm_min, broken.tm_sec)
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    func two(_ number: CInt) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let line =
      "Date: \(days[weekday]), \(two(day)) \(months[month]) \(year) \(two(hour)):\(two(minute)):\(two(tick)) GMT\r\n"
    dateLine = Array(line.utf8)
    return dateLine
  }
}
