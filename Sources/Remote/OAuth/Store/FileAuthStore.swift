import CLinux
import Glibc
import ParleyRuntime
import ParleyTLS
import Synchronization

/// Records in a file of their own, mode 0600, for the processes of one host.
///
/// A line for each record, before it the record's code under the server's key (beside the file, `.key`). Every change
/// writes a new file that takes the old one's place, under a lock (`.lock`). A record whose code is wrong does not
/// count: nothing is granted by it.
package final class FileAuthStore: AuthStore {
  /// What tells one version of the file from the next.
  private struct Stamp: Hashable {
    var device: UInt64 = 0
    var inode: UInt64 = 0
    var size: Int64 = 0
    var seconds: Int = 0
    var nanoseconds: Int = 0
  }

  private struct Seen {
    var stamp: Stamp?
    var state = AuthState()
  }

  private static let limit = 32 << 20

  package let path: String
  package let key: ServerKey
  private let seen = Mutex(Seen())

  /// Opens the store, and makes it where there is none; the folder must be there, or its parent.
  package init(_ path: String) throws(AuthStoreError) {
    self.path = path
    key = try ServerKey(file: path + ".key")
    try seen.withLock { seen throws(AuthStoreError) in try Self.refresh(&seen, path, key) }
  }

  // MARK: Reading

  package var canBeBehind: Bool { false }
  package func refresh() {}

  package func state() -> AuthState {
    seen.withLock { seen in
      // A revocation by another process counts from the next request on. Looking at the file's status takes a
      // microsecond, reading it once after each change less than a disk's; both are worth that nothing stale is used.
      do throws(AuthStoreError) { try Self.refresh(&seen, path, key) } catch {
        Log.write(.error, "the auth store cannot be read", [("cause", error.description)])
        seen.state = AuthState()
      }
      return seen.state
    }
  }

  private static func refresh(_ seen: inout Seen, _ path: String, _ key: ServerKey) throws(AuthStoreError) {
    let now = stamp(path)
    guard now != seen.stamp || now == nil else { return }
    let bytes: [UInt8]
    do throws(SystemError) { bytes = now == nil ? [] : try read(path) } catch {
      throw AuthStoreError("\(path): \(error)")
    }
    // Told once for each version of the file.
    seen.stamp = now
    seen.state = AuthState()
    seen.state = try SealedRecords(bytes, at: path, key: key).state
  }

  private static func stamp(_ path: String) -> Stamp? {
    var found = stat()
    guard unsafe stat(path, &found) == 0 else { return nil }
    return Stamp(
      device: UInt64(found.st_dev), inode: UInt64(found.st_ino), size: Int64(found.st_size),
      seconds: found.st_mtim.tv_sec, nanoseconds: found.st_mtim.tv_nsec)
  }

  // MARK: Changing

  package func change<Value: Sendable>(
    on loop: EventLoop, _ change: @escaping @Sendable (inout AuthState) -> Value
  ) async throws(AuthStoreError) -> Value {
    let outcome: WaitOutcome<Result<Value, AuthStoreError>>
    do throws(SystemError) {
      outcome = try await loop.offload(named: "auth store", until: nil) {
        do throws(AuthStoreError) { return .success(try self.changeNow(change)) } catch { return .failure(error) }
      }
    } catch {
      throw AuthStoreError("\(path): \(error)")
    }
    guard case .value(let result) = outcome else { throw AuthStoreError("\(path): cancelled") }
    return try result.get()
  }

  /// Changes the state; blocks for the lock and the disk.
  package func changeNow<Value>(_ change: (inout AuthState) -> Value) throws(AuthStoreError) -> Value {
    do {
      let lock = try SystemError.check("open", unsafe parley_open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600))
      defer { close(lock) }
      while flock(lock, LOCK_EX) != 0 {
        guard errno == EINTR else { throw SystemError.last("flock") }
      }
      var state = try SealedRecords(Self.stamp(path) == nil ? [] : try Self.read(path), at: path, key: key).state
      let before = state
      let value = change(&state)
      if state != before { try write(state) }
      return value
    } catch let error as AuthStoreError {
      throw error
    } catch {
      throw AuthStoreError("\(path): \(error)")
    }
  }

  private func write(_ state: AuthState) throws(SystemError) {
    try Self.replace(path, with: SealedRecords.bytes(of: state, key: key))
  }

  // MARK: Files

  private static func replace(_ path: String, with bytes: [UInt8]) throws(SystemError) {
    let temporary = "\(path).\(getpid()).new"
    unsafe unlink(temporary)
    try writeNew(temporary, bytes)
    guard unsafe rename(temporary, path) == 0 else { throw .last("rename") }
    let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    let descriptor = unsafe parley_open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }

  static func writeNew(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
    let descriptor = try SystemError.check("open \(path)", unsafe parley_open(path, flags, 0o600))
    defer { close(descriptor) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .last("write \(path)") }
      rest = rest.dropFirst(count)
    }
    // The kernel's own stamps are as coarse as its tick, and inodes are used again: a stamp of our own tells two
    // versions apart that are written within one.
    var now = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    var times = [now, now]
    try SystemError.check("futimens \(path)", unsafe futimens(descriptor, &times))
    try SystemError.check("fsync \(path)", fsync(descriptor))
  }

  static func read(_ path: String) throws(SystemError) -> [UInt8] {
    let descriptor = try SystemError.check("open \(path)", unsafe parley_open(path, O_RDONLY | O_CLOEXEC, 0))
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while bytes.count <= limit {
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      if count < 0 { throw .last("read \(path)") }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
    throw SystemError(operation: "read \(path)", code: EFBIG)
  }
}
