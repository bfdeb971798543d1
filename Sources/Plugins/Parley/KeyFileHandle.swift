import Glibc
import ParleyRuntime

/// A file with one token, which only its user may read.
struct KeyFileHandle: Sendable {
  private static let byteLimit = 4_096

  static let timedOut = ETIMEDOUT

  let path: String

  /// The token; nil where the file is not there. Throws `EPERM` where others could read or have written it.
  func read() throws(SystemError) -> String? {
    let descriptor = unsafe Glibc.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
    if descriptor < 0, errno == ENOENT { return nil }
    try SystemError.check("open", descriptor)
    defer { close(descriptor) }
    var status = stat()
    try SystemError.check("fstat", unsafe fstat(descriptor, &status))
    guard status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
      throw SystemError(operation: "read", code: EPERM)
    }
    var bytes = [UInt8](repeating: 0, count: Self.byteLimit)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
    guard count >= 0 else { throw .last("read") }
    let text = String(decoding: bytes[..<count], as: UTF8.self)
    let token = text.prefix { !$0.isWhitespace }
    return token.isEmpty ? nil : String(token)
  }

  /// Makes the file; nothing where there is one.
  func write(_ token: String) throws(SystemError) {
    try PrivateFolder.make(of: path)
    // Whole at once, so that nobody reads half a token.
    let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let descriptor = try SystemError.check("open", unsafe Glibc.open(temporary, flags, 0o600))
    defer {
      close(descriptor)
      unsafe unlink(temporary)
    }
    let bytes = Array((token + "\n").utf8)
    let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    guard written == bytes.count else { throw .last("write") }
    if unsafe link(temporary, path) != 0, errno != EEXIST { throw .last("link") }
  }
}
