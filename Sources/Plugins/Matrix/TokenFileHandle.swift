import CLinux
import Glibc
import ParleyRuntime

/// The file that keeps an account's tokens, and the lock beside it that lets one process at a time renew them.
@safe struct TokenFileHandle: ~Copyable {
  private let path: String
  private let lock: CInt

  /// The file that is used where configuration names none: one for each origin, in the user's state directory.
  static func defaultPath(origin: String) -> String? {
    func variable(_ name: String) -> String? {
      guard let value = unsafe getenv(name).map({ unsafe String(cString: $0) }), value.hasPrefix("/") else {
        return nil
      }
      return value
    }
    guard let state = variable("XDG_STATE_HOME") ?? variable("HOME").map({ $0 + "/.local/state" }) else { return nil }
    return "\(state)/parley/matrix/\(origin).json"
  }

  /// What the file holds now; nil where there is none.
  static func read(_ path: String) throws(SystemError) -> [UInt8]? {
    let descriptor = unsafe parley_open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0)
    if descriptor < 0, errno == ENOENT { return nil }
    try SystemError.check("open \(path)", descriptor)
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 64 * 1024)
    let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
    guard count >= 0 else { throw SystemError.last("read \(path)") }
    return Array(bytes[..<count])
  }

  /// Takes the lock; nil while another process has it. Makes missing directories, mode 0700.
  static func acquire(_ path: String) throws(SystemError) -> TokenFileHandle? {
    try PrivateFolder.make(of: path)
    let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW
    let lock = try SystemError.check("open \(path).lock", unsafe parley_open(path + ".lock", flags, 0o600))
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      let isBusy = errno == EWOULDBLOCK || errno == EINTR
      let error = SystemError.last("flock \(path).lock")
      close(lock)
      if isBusy { return nil }
      throw error
    }
    return TokenFileHandle(path: path, lock: lock)
  }

  private init(path: String, lock: CInt) {
    self.path = path
    self.lock = lock
  }

  /// Gives the lock back.
  deinit { close(lock) }

  /// Replaces the file as a whole; on the disk, under its name, when this returns.
  func write(_ bytes: [UInt8]) throws(SystemError) {
    let draft = "\(path).\(getpid()).tmp"
    let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW
    let descriptor = try SystemError.check("open \(draft)", unsafe parley_open(draft, flags, 0o600))
    let isWritten = unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
    let failure = SystemError.last("write \(draft)")
    close(descriptor)
    guard isWritten, unsafe rename(draft, path) == 0 else {
      let error = isWritten ? SystemError.last("rename \(draft)") : failure
      unsafe unlink(draft)
      throw error
    }
  }
}
