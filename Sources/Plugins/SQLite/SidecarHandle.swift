import CLinux
import Glibc
import ParleyRuntime

/// The file `<database>-notify`: its lock is the turnstile of writers, a write to it wakes every reader.
///
/// SQLite never sees it, so it may be opened, locked and closed at will; the database's own file must not be (closing
/// any descriptor of it drops the process's SQLite locks).
@safe struct SidecarHandle: ~Copyable {
  private var descriptor: CInt
  private let path: String

  /// Opens or creates the sidecar of the database at `path`, readable and writable by its owner alone.
  init(database path: String) throws(SystemError) {
    self.path = path + "-notify"
    descriptor = try Self.open(self.path)
  }

  deinit { close(descriptor) }

  private static func open(_ path: String) throws(SystemError) -> CInt {
    try SystemError.check("open \(path)", unsafe parley_open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600))
  }

  /// Opens the file again when its name was removed, so that writers meet at one lock and readers are woken.
  mutating func reopenIfUnlinked() throws(SystemError) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_nlink == 0 else { return }
    let fresh = try Self.open(path)
    close(descriptor)
    descriptor = fresh
  }

  /// Waits, without bound, for this writer's turn. The kernel wakes waiters in the order in which they came.
  func lock() throws(SystemError) {
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else { throw SystemError.last("flock \(path)") }
    }
  }

  /// Lets the next writer in.
  func unlock() { flock(descriptor, LOCK_UN) }

  /// Wakes the readers of every process. A failure is left to their safety poll.
  func touch() {
    var mark: UInt8 = 0x2e
    _ = unsafe pwrite(descriptor, &mark, 1, 0)
  }
}

/// An inotify descriptor on the sidecar; ready for reading after each touch.
@safe struct SidecarWatch: ~Copyable {
  /// For the event loop.
  let descriptor: CInt

  /// Watches the sidecar of the database at `path`. Throws EMFILE when the user's instances are used up.
  init(database path: String) throws(SystemError) {
    let descriptor = try SystemError.check("inotify_init1", inotify_init1(CInt(IN_NONBLOCK | IN_CLOEXEC)))
    let mask = UInt32(IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
    guard unsafe inotify_add_watch(descriptor, path + "-notify", mask) >= 0 else {
      let error = SystemError.last("inotify_add_watch")
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Reads all events; true when one says that the name may no longer mean this file.
  func drain() -> Bool {
    var isSuspect = false
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe read(descriptor, &buffer, buffer.count)
      guard count > 0 else { return isSuspect }
      var offset = 0
      // struct inotify_event: wd, mask, cookie, len (4 bytes each), then `len` bytes of name.
      while offset + 16 <= count {
        let mask = Self.word(buffer, offset + 4)
        if mask & ~UInt32(IN_MODIFY) != 0 { isSuspect = true }
        offset += 16 + Int(Self.word(buffer, offset + 12))
      }
    }
  }

  private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
      | UInt32(bytes[offset + 3]) << 24
  }
}

/// Questions about paths, by path alone.
enum FileCalls {
  /// The file system's magic number (`statfs.f_type`, see statfs(2)).
  static func fileSystemType(of path: String) throws(SystemError) -> UInt32 {
    var status = statfs()
    try SystemError.check("statfs \(path)", unsafe statfs(path, &status))
    return UInt32(truncatingIfNeeded: status.f_type)
  }

  /// Whether `path` is there and is a directory; nil when it is not there.
  static func isDirectory(_ path: String) -> Bool? {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    return status.st_mode & S_IFMT == S_IFDIR
  }

  /// The error that writing to `path` would meet; nil when it may be written, or is not there.
  static func writeRefusal(_ path: String) -> SystemError? {
    guard unsafe access(path, R_OK | W_OK) != 0, errno != ENOENT else { return nil }
    return SystemError.last("access \(path)")
  }

  /// Leaves the file to its owner alone; files of others are left as they are.
  static func makePrivate(_ path: String) { _ = unsafe chmod(path, 0o600) }
}
