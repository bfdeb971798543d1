import ParleyRuntime

/// A TLS client without input or output of its own, for `ByteStream`.
//
// @unchecked: confined to the loop of its stream.
package final class TLSEngine: StreamCipher, @unchecked Sendable {
  private let handle: TLSHandle
  private let serverName: String
  package private(set) var isEstablished = false

  init(_ handle: consuming TLSHandle, serverName: String) {
    self.handle = handle
    self.serverName = serverName
  }

  package func take(_ ciphertext: RawSpan) throws(SeamError) {
    if !handle.take(ciphertext) {
      throw SeamError(.unavailable, operation: "read from '\(serverName)'", cause: "the TLS library is out of memory")
    }
  }

  package func handshake() throws(SeamError) {
    guard !isEstablished else { return }
    let operation = "TLS handshake with '\(serverName)'"
    switch handle.handshake() {
    case .done: isEstablished = true
    case .starved: break
    case .ended: throw SeamError(.unavailable, operation: operation, cause: "the server ended the handshake")
    case .failed(let failure): throw failure.error(operation, serverName: serverName)
    }
  }

  package func open(into buffer: UnsafeMutableRawBufferPointer) throws(SeamError) -> Int? {
    switch unsafe handle.read(into: buffer) {
    case .done(let count): return count
    case .starved: return 0
    case .ended: return nil
    case .failed(let failure): throw failure.error("read from '\(serverName)'", serverName: serverName)
    }
  }

  package func seal(_ plaintext: RawSpan) throws(SeamError) {
    let operation = "write to '\(serverName)'"
    switch handle.write(plaintext) {
    case .done: return
    case .failed(let failure): throw failure.error(operation, serverName: serverName)
    case .starved, .ended: throw SeamError(.unavailable, operation: operation, cause: "the TLS connection is closed")
    }
  }

  package func drain(into output: inout [UInt8]) { handle.drain(into: &output) }

  package func end() { if isEstablished { handle.shutdown() } }

  package var channelBinding: [UInt8]? { isEstablished ? handle.exporter : nil }

  /// The version spoken, for example `TLSv1.3`.
  package var version: String { handle.version }

  /// The protocol that the peer chose by ALPN, where any was offered.
  package var chosenProtocol: String? { handle.chosenProtocol }
}
