import CLinux
import Glibc
import ParleyRuntime

/// A plain TCP connection to a server under test, for probes and for what an administrator does to it.
///
/// It blocks its thread, each call for at most the patience it was made with: never on a loop that is under test.
public final class BlockingClient {
  private let descriptor: CInt
  private var buffer: [UInt8] = []

  /// Connects to 127.0.0.1. Throws what the kernel refuses, ECONNREFUSED where nobody listens.
  public init(port: Int, patience: Duration = .seconds(5)) throws(SystemError) {
    descriptor = try LocalSocket.connect(port: port, patience: patience)
  }

  deinit { close(descriptor) }

  /// Sends all of the text.
  public func send(_ text: String) throws(SystemError) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw SystemError.last("send") }
      rest = rest.dropFirst(count)
    }
  }

  /// Ends what we send; the other side reads the end of the stream.
  public func endSending() { shutdown(descriptor, CInt(SHUT_WR)) }

  /// The next line, without its end (`\r\n` or `\n`). Throws ECONNRESET at the end of the stream, EAGAIN when it is late.
  public func line() throws(SystemError) -> String {
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        var line = buffer[..<end]
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        let text = String(decoding: line, as: UTF8.self)
        buffer.removeFirst(end + 1)
        return text
      }
      guard try receive() else { throw SystemError(operation: "read a line", code: ECONNRESET) }
    }
  }

  /// So many bytes, as text.
  public func bytes(_ count: Int) throws(SystemError) -> String {
    while buffer.count < count {
      guard try receive() else { throw SystemError(operation: "read \(count) bytes", code: ECONNRESET) }
    }
    defer { buffer.removeFirst(count) }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }

  /// Everything until the other side ends the stream, as text.
  public func rest() throws(SystemError) -> String {
    while try receive() {}
    defer { buffer = [] }
    return String(decoding: buffer, as: UTF8.self)
  }

  private func receive() throws(SystemError) -> Bool {
    var chunk = [UInt8](repeating: 0, count: 16_384)
    let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
    guard count >= 0 else { throw SystemError.last("receive") }
    buffer += chunk[..<count]
    return count > 0
  }
}
