import COpenSSL
import ParleyRuntime

/// The certificates of a configuration, loaded once and shared by its connections.
//
// @unchecked: an SSL_CTX that is no longer configured may be used by several threads (openssl-threads(7)).
@safe package final class TLSContext: @unchecked Sendable {
  let pointer: OpaquePointer
  private let protocols: [String]

  /// Loads the files, blocking. Throws `invalidRequest` with the file's name where one cannot be used. With
  /// `accepting` it is for a server's side: it shows its certificate, which must be there, and asks for none.
  package init(_ options: TLSOptions, accepting: Bool = false) throws(SeamError) {
    let operation = "set up TLS"
    guard let context = unsafe SSL_CTX_new(accepting ? TLS_server_method() : TLS_client_method()) else {
      throw TLSFailure.take().error(operation)
    }
    unsafe pointer = context
    protocols = options.protocols
    ERR_clear_error()
    _ = unsafe parley_tls_minimum_1_2(context)
    unsafe SSL_CTX_set_verify(context, accepting ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nil)
    func use(_ file: String, _ what: String, _ result: CInt) throws(SeamError) {
      guard result != 1 else { return }
      throw SeamError(
        .invalidRequest, operation: operation, cause: "the \(what) \(file) cannot be used: \(TLSFailure.take().text)")
    }
    if accepting {
      // No authorities: no certificate is asked for.
    } else if let file = options.authorityFile {
      try use(file, "CA file", unsafe SSL_CTX_load_verify_locations(context, file, nil))
    } else {
      _ = unsafe SSL_CTX_set_default_verify_paths(context)
    }
    if let file = options.certificateFile {
      try use(file, "certificate file", unsafe SSL_CTX_use_certificate_chain_file(context, file))
      let key = options.keyFile ?? file
      try use(key, "key file", unsafe SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM))
      try use(key, "key file (for another certificate)", unsafe SSL_CTX_check_private_key(context))
    }
  }

  deinit { unsafe SSL_CTX_free(pointer) }

  /// Loads the files on a thread of its own: the system's certificates alone take milliseconds.
  package static func load(
    _ options: TLSOptions, loop: EventLoop, until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> TLSContext {
    let operation = "set up TLS"
    let outcome: WaitOutcome<Result<TLSContext, SeamError>>
    do throws(SystemError) {
      outcome = try await loop.offload(named: "certificates", until: deadline) {
        do throws(SeamError) { return .success(try TLSContext(options)) } catch { return .failure(error) }
      }
    } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: operation, cause: error.description)
    }
    switch outcome {
    case .value(let result): return try result.get()
    case .timedOut:
      throw SeamError(.unavailable, operation: operation, cause: "the certificate files could not be read in time")
    case .cancelled: throw SeamError(.cancelled, operation: operation, cause: "the caller cancelled")
    }
  }

  /// A server's engine for one connection, of a context that was made `accepting`.
  package func server() throws(SeamError) -> TLSEngine {
    TLSEngine(try TLSHandle(accepting: self), serverName: "client")
  }

  /// A client's engine for one connection; `serverName` (a host name or a numeric address) is asked for and verified.
  package func client(serverName: String) throws(SeamError) -> TLSEngine {
    TLSEngine(try TLSHandle(self, serverName: serverName, protocols: protocols), serverName: serverName)
  }
}
