import COpenSSL
import ParleyRuntime

/// One connection's SSL object with its two memory BIOs.
@safe struct TLSHandle: ~Copyable {
  private let ssl: OpaquePointer
  private let incoming: OpaquePointer
  private let outgoing: OpaquePointer
  /// Kept as long as the connection; OpenSSL counts references too, this one keeps Swift's object.
  private let context: TLSContext

  /// What a call of the library came to.
  enum Outcome {
    case done(Int)
    /// It needs more of the peer's bytes.
    case starved
    /// The peer said farewell.
    case ended
    case failed(TLSFailure)
  }

  /// A client's side.
  init(_ context: TLSContext, serverName: String, protocols: [String]) throws(SeamError) {
    try self.init(context)
    unsafe SSL_set_connect_state(ssl)
    // Numeric addresses are verified as such, and are not sent as a server name (RFC 6066, section 3).
    if unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), serverName) != 1 {
      _ = unsafe SSL_set1_host(ssl, serverName)
      _ = unsafe parley_tls_server_name(ssl, serverName)
    }
    let list = protocols.flatMap { [UInt8(truncatingIfNeeded: $0.utf8.count)] + Array($0.utf8) }
    if !list.isEmpty { unsafe SSL_set_alpn_protos(ssl, list, UInt32(list.count)) }
    ERR_clear_error()
  }

  /// A server's side.
  init(accepting context: TLSContext) throws(SeamError) {
    try self.init(context)
    unsafe SSL_set_accept_state(ssl)
    ERR_clear_error()
  }

  private init(_ context: TLSContext) throws(SeamError) {
    guard let ssl = unsafe SSL_new(context.pointer), let incoming = unsafe parley_memory_bio(),
      let outgoing = unsafe parley_memory_bio()
    else { throw TLSFailure.take().error("set up TLS") }
    self.context = context
    unsafe self.ssl = ssl
    unsafe self.incoming = incoming
    unsafe self.outgoing = outgoing
    // The SSL object owns both BIOs from here on.
    unsafe SSL_set_bio(ssl, incoming, outgoing)
  }

  deinit { unsafe SSL_free(ssl) }

  func take(_ bytes: RawSpan) -> Bool {
    unsafe bytes.withUnsafeBytes { unsafe BIO_write(incoming, $0.baseAddress, CInt($0.count)) } == bytes.byteCount
  }

  func handshake() -> Outcome { outcome { unsafe SSL_do_handshake(ssl) } }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
    outcome { unsafe SSL_read(ssl, buffer.baseAddress, CInt(buffer.count)) }
  }

  func write(_ bytes: RawSpan) -> Outcome {
    outcome { unsafe bytes.withUnsafeBytes { unsafe SSL_write(ssl, $0.baseAddress, CInt($0.count)) } }
  }

  func shutdown() {
    ERR_clear_error()
    _ = unsafe SSL_shutdown(ssl)
    ERR_clear_error()
  }

  /// Appends what the library wants to be sent.
  func drain(into output: inout [UInt8]) {
    let count = Int(unsafe BIO_ctrl_pending(outgoing))
    guard count > 0 else { return }
    let start = output.count
    output.append(contentsOf: repeatElement(0, count: count))
    let taken = unsafe output.withUnsafeMutableBytes { all in
      unsafe BIO_read(outgoing, all.baseAddress.map { unsafe $0 + start }, CInt(count))
    }
    output.removeLast(count - max(0, Int(taken)))
  }

  /// The result of verifying the peer's certificate, 0 where it is good.
  var verdict: Int { unsafe SSL_get_verify_result(ssl) }

  /// The version spoken, for example `TLSv1.3`.
  var version: String { unsafe String(cString: SSL_get_version(ssl)) }

  /// The protocol that the peer chose by ALPN.
  var chosenProtocol: String? {
    var bytes: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    unsafe SSL_get0_alpn_selected(ssl, &bytes, &count)
    guard let start = unsafe bytes, count > 0 else { return nil }
    return unsafe String(decoding: UnsafeBufferPointer(start: start, count: Int(count)), as: UTF8.self)
  }

  /// RFC 9266; under TLS 1.2 only with the extended master secret (its section 4).
  var exporter: [UInt8]? {
    guard unsafe SSL_version(ssl) >= TLS1_3_VERSION || parley_tls_has_extended_master_secret(ssl) == 1 else {
      return nil
    }
    var bytes = [UInt8](repeating: 0, count: 32)
    let label = "EXPORTER-Channel-Binding"
    // The context is present and empty, as the RFC has it.
    let empty: [UInt8] = [0]
    let result = unsafe SSL_export_keying_material(ssl, &bytes, 32, label, label.utf8.count, empty, 0, 1)
    return result == 1 ? bytes : nil
  }

  /// OpenSSL's error queue is the thread's, and other libraries on the loop use it too: empty before, taken after.
  private func outcome(_ call: () -> CInt) -> Outcome {
    ERR_clear_error()
    let result = call()
    if result > 0 { return .done(Int(result)) }
    switch unsafe SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .starved
    case SSL_ERROR_ZERO_RETURN: return .ended
    default: return .failed(TLSFailure.take(verdict: verdict))
    }
  }
}
