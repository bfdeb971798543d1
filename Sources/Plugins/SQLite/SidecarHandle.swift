import CLinux
import Glibc
import ParleyRuntime

/// The file `<database>-notify`: its lock is the turnstile of writers, a write to it wakes every reader, and its first
/// eight bytes hold the id of the last row that a Parley has stored.
///
/// SQLite never sees it, so it may be opened, locked and closed at will; the database's own file must not be (closing
/// any descriptor of it drops the process's SQLite locks).
@safe struct SidecarHandle: ~Copyable {
  private var descriptor: CInt
  private var committed: CommittedRow
  private let path: String

  /// Opens or creates the sidecar of the database at `path`, readable and writable by its owner alone.
  init(database path: String) throws(SystemError) {
    let path = path + "-notify"
    let opened = try Self.open(path)
    self.path = path
    descriptor = opened.descriptor
    committed = opened.committed
  }

  deinit { close(descriptor) }

  private static func open(_ path: String) throws(SystemError) -> (descriptor: CInt, committed: CommittedRow) {
    let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW
    let descriptor = try SystemError.check("open \(path)", unsafe parley_open(path, flags, 0o600))
    do throws(SystemError) {
      return (descriptor, try CommittedRow(descriptor, isWritable: true))
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// Opens the file again when its name was removed, so that writers meet at one lock and readers are woken.
  mutating func reopenIfUnlinked() throws(SystemError) {
    guard parley_link_count(descriptor) == 0 else { return }
    let fresh = try Self.open(path)
    close(descriptor)
    descriptor = fresh.descriptor
    committed = fresh.committed
  }

  /// Notes the last row that is stored; in this writer's turn.
  func publish(_ id: Int64) { committed.store(id) }

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
    _ = unsafe pwrite(descriptor, &mark, 1, off_t(CommittedRow.bytes))
  }
}

/// An inotify descriptor on the sidecar, ready for reading after each touch but the process's own.
@safe final class SidecarWatch: Sendable {
  /// For the event loop: an epoll descriptor, so that `silently` can take out what is behind it.
  let descriptor: CInt
  private let notifications: CInt
  private let row: CommittedRow

  /// Watches the sidecar of the database at `path`. Throws EMFILE when the user's instances are used up.
  init(database path: String) throws(SystemError) {
    let sidecar = try SystemError.check(
      "open \(path)-notify", unsafe parley_open(path + "-notify", O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0))
    defer { close(sidecar) }
    let row = try CommittedRow(sidecar, isWritable: false)
    let notifications = try SystemError.check("inotify_init1", inotify_init1(CInt(IN_NONBLOCK | IN_CLOEXEC)))
    do throws(SystemError) {
      let mask = UInt32(IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
      try SystemError.check("inotify_add_watch", unsafe inotify_add_watch(notifications, path + "-notify", mask))
      descriptor = try SystemError.check("epoll_create1", parley_epoll_create())
    } catch {
      close(notifications)
      throw error
    }
    self.notifications = notifications
    self.row = row
    listen()
  }

  deinit {
    close(descriptor)
    close(notifications)
  }

  @discardableResult
  private func listen() -> Bool { parley_epoll_add(descriptor, notifications, parley_epoll_bits(1, 0), 0) == 0 }

  /// Lets this process touch the sidecar without waking its own watch; on any thread.
  ///
  /// What others touched meanwhile is lost with it, so `committed` is to be looked at afterwards: they store first and
  /// touch then. True when the name may no longer mean this file.
  func silently(_ touch: () -> Void) -> Bool {
    _ = parley_epoll_remove(descriptor, notifications)
    touch()
    let isSuspect = drain()
    return !listen() || isSuspect
  }

  /// The last row that a Parley has stored, or a later one.
  var committed: Int64 { row.value }

  /// Reads what happened; true when one says that the name may no longer mean this file.
  func drain() -> Bool {
    var isSuspect = false
    // Touches that nobody has read yet are one event. What is left after a full buffer is ready again.
    unsafe withUnsafeTemporaryAllocation(byteCount: 512, alignment: 4) { buffer in
      let count = unsafe read(notifications, buffer.baseAddress, buffer.count)
      var offset = 0
      // struct inotify_event: wd, mask, cookie, len (4 bytes each), then `len` bytes of name.
      while offset + 16 <= count {
        let mask = unsafe buffer.load(fromByteOffset: offset + 4, as: UInt32.self)
        if mask & ~UInt32(IN_MODIFY) != 0 { isSuspect = true }
        offset += 16 + Int(unsafe buffer.load(fromByteOffset: offset + 12, as: UInt32.self))
      }
    }
    return isSuspect
  }
}

/// Eight bytes at the start of the sidecar, shared by all processes.
//
// @unchecked: they are read and written by single atomic instructions.
@safe final class CommittedRow: @unchecked Sendable {
  static let bytes = 8
  private let place: UnsafeMutablePointer<Int64>

  /// Maps the bytes of an open sidecar, which grows to hold them.
  init(_ descriptor: CInt, isWritable: Bool) throws(SystemError) {
    var status = stat()
    try SystemError.check("fstat", unsafe fstat(descriptor, &status))
    if status.st_size <= Self.bytes {
      try SystemError.check("ftruncate", ftruncate(descriptor, off_t(Self.bytes) + 1))
    }
    let protection = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
    let address = unsafe mmap(nil, Self.bytes, protection, MAP_SHARED, descriptor, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else { throw SystemError.last("mmap") }
    unsafe place = address.bindMemory(to: Int64.self, capacity: 1)
  }

  deinit { unsafe munmap(place, Self.bytes) }

  var value: Int64 { unsafe parley_load(place) }

  func store(_ value: Int64) { unsafe parley_store(place, value) }
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
