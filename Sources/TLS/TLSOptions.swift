/// How a client speaks TLS. The peer is always verified; the oldest version is 1.2.
package struct TLSOptions: Hashable, Sendable {
  /// A file of PEM certificates to trust; nil for the system's.
  package var authorityFile: String?
  /// Our certificate chain, PEM.
  package var certificateFile: String?
  /// The key of our certificate, PEM without a passphrase.
  package var keyFile: String?
  /// Protocols offered by ALPN, most wanted first.
  package var protocols: [String]

  /// Makes options.
  package init(
    authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil, protocols: [String] = []
  ) {
    self.authorityFile = authorityFile
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    self.protocols = protocols
  }
}
