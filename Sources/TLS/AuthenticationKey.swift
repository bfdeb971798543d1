import COpenSSL

/// A key for HMAC-SHA256 (RFC 2104) whose two first blocks are computed once: what is left for each code is the digest
/// of the bytes themselves, and of that digest.
//
// @unchecked: the contexts are never changed once they are made, only copied.
@safe package final class AuthenticationKey: @unchecked Sendable {
  private let inner: OpaquePointer
  private let outer: OpaquePointer
  private static let block = 64
  private static let length = 32

  /// Takes a key of any length.
  package init(_ key: [UInt8]) {
    let key = key.count > Self.block ? Digest.sha256.hash(key) : key
    let padded = key + [UInt8](repeating: 0, count: Self.block - key.count)
    unsafe inner = Self.context(of: padded.map { $0 ^ 0x36 })
    unsafe outer = Self.context(of: padded.map { $0 ^ 0x5c })
  }

  deinit {
    unsafe EVP_MD_CTX_free(inner)
    unsafe EVP_MD_CTX_free(outer)
  }

  private static func context(of block: [UInt8]) -> OpaquePointer {
    let context = unsafe EVP_MD_CTX_new()
    let isReady =
      unsafe EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
      && EVP_DigestUpdate(context, block, block.count) == 1
    guard let context = unsafe context, isReady else { preconditionFailure("OpenSSL has no memory") }
    return unsafe context
  }

  /// The code of some bytes.
  package func code(_ bytes: [UInt8]) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: Self.length)
    let context = unsafe EVP_MD_CTX_new()
    defer { unsafe EVP_MD_CTX_free(context) }
    let isDone =
      unsafe EVP_MD_CTX_copy_ex(context, inner) == 1 && EVP_DigestUpdate(context, bytes, bytes.count) == 1
      && EVP_DigestFinal_ex(context, &output, nil) == 1 && EVP_MD_CTX_copy_ex(context, outer) == 1
      && EVP_DigestUpdate(context, output, output.count) == 1 && EVP_DigestFinal_ex(context, &output, nil) == 1
    precondition(isDone, "OpenSSL has no memory")
    return output
  }
}
