import COpenSSL
import ParleyRuntime

/// What OpenSSL's error queue held, and how the peer's certificate was judged.
struct TLSFailure {
  /// OpenSSL's reason code, `SSL_R_…`.
  let reason: Int
  /// OpenSSL's words.
  let text: String
  /// `X509_V_…`, 0 where the certificate is good or was not seen.
  let verdict: Int

  /// Takes the oldest error, which is the cause, and empties the queue.
  static func take(verdict: Int = 0) -> TLSFailure {
    let code = ERR_get_error()
    ERR_clear_error()
    let text = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) }
    return TLSFailure(
      reason: Int(ERR_GET_REASON(code)), text: text ?? "the TLS library names no cause", verdict: verdict)
  }

  /// The failure as the seam tells it.
  func error(_ operation: String, serverName: String = "") -> SeamError {
    if verdict != 0 {
      return SeamError(.unauthorized, native: verdict, operation: operation, cause: refusal(of: serverName))
    }
    // Alerts about our own certificate, RFC 8446 section 6.2.
    let refusesOurs = [
      SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
      SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SSL_R_TLSV1_ALERT_UNKNOWN_CA,
      SSL_R_TLSV1_ALERT_ACCESS_DENIED, SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
    ].contains(CInt(truncatingIfNeeded: reason))
    if refusesOurs {
      return SeamError(
        .unauthorized, native: reason, operation: operation,
        cause: "the server refuses our certificate, or demands one: \(text)")
    }
    if reason == Int(SSL_R_TLSV1_UNRECOGNIZED_NAME) {
      return SeamError(
        .unauthorized, native: reason, operation: operation,
        cause: "the server has no certificate for '\(serverName)' (\(text))")
    }
    let cause = reason == Int(SSL_R_WRONG_VERSION_NUMBER) ? "the server does not speak TLS on this port" : text
    return SeamError(.unavailable, native: reason, operation: operation, cause: cause)
  }

  private func refusal(of serverName: String) -> String {
    let words = unsafe String(cString: X509_verify_cert_error_string(verdict))
    switch CInt(truncatingIfNeeded: verdict) {
    case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the server's certificate is not for '\(serverName)' (\(words))"
    case X509_V_ERR_CERT_HAS_EXPIRED: return "the server's certificate has expired"
    case X509_V_ERR_CERT_NOT_YET_VALID: return "the server's certificate is not valid yet"
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
      X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
      X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "the server's certificate comes from an authority that is not trusted here (\(words))"
    default: return "the server's certificate is not accepted: \(words)"
    }
  }
}
