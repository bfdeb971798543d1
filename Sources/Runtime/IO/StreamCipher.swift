/// What encrypts a stream: a protocol engine without any input or output of its own (ParleyTLS has one).
///
/// The stream feeds it what came from the peer, asks it for clear text, and sends what it makes. Confined to the
/// stream's loop.
package protocol StreamCipher: AnyObject, Sendable {
  /// The handshake is complete and the peer is who it should be.
  var isEstablished: Bool { get }

  /// Takes bytes that came from the peer.
  func take(_ ciphertext: RawSpan) throws(SeamError)

  /// Goes on with the handshake as far as what was taken allows; called first to begin it.
  ///
  /// Throws `unauthorized` when the peer's certificate, or ours, is refused, `unavailable` for anything else.
  func handshake() throws(SeamError)

  /// Writes clear text of the peer into `buffer`: the number of bytes, 0 when there is none now, nil at the peer's end.
  func open(into buffer: UnsafeMutableRawBufferPointer) throws(SeamError) -> Int?

  /// Encrypts clear text for the peer; only when established.
  func seal(_ plaintext: RawSpan) throws(SeamError)

  /// Appends what is to be sent to the peer.
  func drain(into output: inout [UInt8])

  /// Makes the farewell that tells the peer that nothing was cut off.
  func end()

  /// Data that binds an authentication to this very channel (RFC 9266, `tls-exporter`), where there is any.
  var channelBinding: [UInt8]? { get }
}

extension [UInt8] {
  /// A copy of a span's bytes.
  package init(copying span: RawSpan) {
    self = unsafe span.withUnsafeBytes { unsafe Array($0) }
  }
}
