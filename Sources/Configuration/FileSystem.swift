import CLinux
import Glibc
import ParleyRuntime

/// Every system call of this target.
enum FileSystem {
  /// What is told of a file.
  struct Status {
    let mode: mode_t
    var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
    var isRegular: Bool { mode & S_IFMT == S_IFREG }
    /// Everyone on the machine may read it.
    var isWorldReadable: Bool { mode & S_IROTH != 0 }
  }

  /// A whole file (or pipe), of which at most `limit` + 1 bytes are read.
  static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
    let descriptor = try SystemError.check("open", unsafe parley_open(path, O_RDONLY | O_CLOEXEC, 0))
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 * 1024)
    while bytes.count <= limit {
      let count = unsafe chunk.withUnsafeMutableBytes { buffer in
        unsafe Glibc.read(descriptor, buffer.baseAddress, min(buffer.count, limit + 1 - bytes.count))
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw .last("read")
      }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return bytes
  }

  /// Follows symbolic links. Nil when nothing is there, or it cannot be seen.
  static func status(_ path: String) -> Status? {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    return Status(mode: status.st_mode)
  }

  /// Makes a file with this content; nothing where it is there already.
  static func create(_ path: String, _ content: String) throws(SystemError) {
    let descriptor = unsafe parley_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    if descriptor < 0, errno == EEXIST { return }
    try SystemError.check("open", descriptor)
    defer { close(descriptor) }
    let bytes = Array(content.utf8)
    let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    guard written == bytes.count else { throw .last("write") }
  }

  /// Opens (and makes) a file and locks it. Nil when another descriptor holds the lock.
  static func lock(_ path: String) throws(SystemError) -> CInt? {
    let descriptor = try SystemError.check("open", unsafe parley_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600))
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
    let failure = SystemError.last("flock")
    close(descriptor)
    if failure.code == EWOULDBLOCK { return nil }
    throw failure
  }

  static func unlock(_ descriptor: CInt) { close(descriptor) }

  static var environment: [String: String] {
    var result: [String: String] = [:]
    var next = unsafe environ
    while let entry = unsafe next.pointee {
      let text = unsafe String(cString: entry)
      if let equals = text.firstIndex(of: "=") {
        result[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      unsafe next += 1
    }
    return result
  }

  static var processID: Int32 { getpid() }

  static var hostName: String {
    var name = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&name, name.count - 1) == 0 else { return "unknown" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  static var workingDirectory: String {
    guard let path = unsafe getcwd(nil, 0) else { return "/" }
    defer { unsafe free(path) }
    return unsafe String(cString: path)
  }

  static var homeDirectory: String {
    guard let entry = unsafe getpwuid(getuid()), let path = unsafe entry.pointee.pw_dir else { return "/" }
    return unsafe String(cString: path)
  }
}
