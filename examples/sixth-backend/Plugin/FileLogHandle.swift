import CLinux
import Glibc
import ParleyRuntime

/// The directory of the logs; its lock is the writers' turn.
@safe struct DirectoryHandle: ~Copyable {
  let path: String
  private let descriptor: CInt

  init(_ path: String) throws(SystemError) {
    self.path = path
    descriptor = try SystemError.check("open \(path)", unsafe parley_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0))
  }

  deinit { close(descriptor) }

  /// Takes the writers' turn over all processes; false while another has it.
  func tryLock() throws(SystemError) -> Bool {
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
    guard errno == EWOULDBLOCK || errno == EINTR else { throw SystemError.last("flock \(path)") }
    return false
  }

  /// Gives the turn back.
  func unlock() { flock(descriptor, LOCK_UN) }

  /// Waits until a new file's name is on stable storage.
  func sync() throws(SystemError) { try SystemError.check("fsync \(path)", fsync(descriptor)) }
}

/// One topic's file, opened for one operation: its name may mean another file at the next.
@safe struct LogFile: ~Copyable {
  private let path: String
  private let descriptor: CInt

  /// Opens the file; nil when there is none and none is to be made.
  init?(_ path: String, isWritable: Bool) throws(SystemError) {
    let flags = isWritable ? O_RDWR | O_CREAT : O_RDONLY
    let opened = unsafe parley_open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
    if opened < 0, errno == ENOENT, !isWritable { return nil }
    self.path = path
    descriptor = try SystemError.check("open \(path)", opened)
  }

  deinit { close(descriptor) }

  /// Up to 1 MiB from an offset; fewer bytes, or none, at the end.
  func read(from offset: Int, count: Int = 1 << 20) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset + filled))
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw SystemError.last("read \(path)") }
      if got == 0 { break }
      filled += got
    }
    bytes.removeLast(count - filled)
    return bytes
  }

  /// Appends at an offset, where the file then ends; leaves it as it was when the kernel refuses.
  func append(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
    // What stands behind the offset is half a line of a writer that died.
    try SystemError.check("ftruncate \(path)", ftruncate(descriptor, off_t(offset)))
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe pwrite(descriptor, buffer.baseAddress! + written, bytes.count - written, off_t(offset + written))
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        let error = SystemError.last("write \(path)")
        ftruncate(descriptor, off_t(offset))
        throw error
      }
      written += count
    }
  }

  /// Waits until what was appended is on stable storage.
  func sync() throws(SystemError) { try SystemError.check("fdatasync \(path)", fdatasync(descriptor)) }
}

/// An inotify descriptor on the directory; ready for reading after each change.
@safe struct DirectoryWatch: ~Copyable {
  /// For the event loop.
  let descriptor: CInt

  /// What happened since the last look.
  struct Changes {
    /// Files that were written, replaced or removed; nil where the kernel has lost count.
    var names: Set<String>? = []
    /// The directory itself is gone.
    var isOver = false
  }

  init(_ path: String) throws(SystemError) {
    let descriptor = try SystemError.check("inotify_init1", inotify_init1(CInt(IN_NONBLOCK | IN_CLOEXEC)))
    let mask = UInt32(IN_MODIFY | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)
    guard unsafe inotify_add_watch(descriptor, path, mask) >= 0 else {
      let error = SystemError.last("inotify_add_watch \(path)")
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Reads what happened; what is left after a full buffer is ready again.
  func drain() -> Changes {
    var changes = Changes()
    var buffer = [UInt8](repeating: 0, count: 16_384)
    let count = unsafe read(descriptor, &buffer, buffer.count)
    var offset = 0
    // struct inotify_event: wd, mask, cookie, len (4 bytes each), then `len` bytes of name, padded with NUL.
    while offset + 16 <= count {
      let mask = Self.word(buffer, offset + 4)
      let length = Int(Self.word(buffer, offset + 12))
      if mask & UInt32(IN_Q_OVERFLOW) != 0 { changes.names = nil }
      if mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED) != 0 { changes.isOver = true }
      let name = buffer[(offset + 16)..<(offset + 16 + length)].prefix { $0 != 0 }
      changes.names?.insert(String(decoding: name, as: UTF8.self))
      offset += 16 + length
    }
    return changes
  }

  private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
      | UInt32(bytes[offset + 3]) << 24
  }
}
