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
  private static let header = "parley auth 1"

  package let path: String
  package let key: ServerKey
  private let seen = Mutex(Seen())

  /// Opens the store, and makes it where there is none; the folder must be there, or its parent.
  package init(_ path: String) throws(AuthStoreError) {
    self.path = path
    do throws(SystemError) {
      key = ServerKey(try Self.loadKey(path))
    } catch {
      throw AuthStoreError("\(path).key cannot be used: \(error)")
    }
    try seen.withLock { seen throws(AuthStoreError) in try Self.refresh(&seen, path, key) }
  }

  // MARK: Reading

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
    seen.state = try parse(bytes, path, key)
  }

  private static func stamp(_ path: String) -> Stamp? {
    var found = stat()
    guard unsafe stat(path, &found) == 0 else { return nil }
    return Stamp(
      device: UInt64(found.st_dev), inode: UInt64(found.st_ino), size: Int64(found.st_size),
      seconds: found.st_mtim.tv_sec, nanoseconds: found.st_mtim.tv_nsec)
  }

  private static func parse(
    _ bytes: [UInt8], _ path: String, _ key: ServerKey
  ) throws(AuthStoreError) -> AuthState {
    var state = AuthState()
    let lines = bytes.split(separator: UInt8(ascii: "\n"))
    guard let first = lines.first else { return state }
    // Nothing is written over what cannot be read.
    guard first.elementsEqual(header.utf8) else {
      throw AuthStoreError("\(path): it is of another version, or damaged")
    }
    var refused = 0
    for line in lines.dropFirst() {
      guard let space = line.firstIndex(of: UInt8(ascii: " ")),
        let code = Base64.decodeURL(String(decoding: line[..<space], as: UTF8.self))
      else {
        refused += 1
        continue
      }
      let text = Array(line[(space + 1)...])
      guard code.isIdentical(to: key.code(text, for: .record)), let record = StoredRecord(text), state.take(record)
      else {
        refused += 1
        continue
      }
    }
    if refused > 0 {
      Log.write(.error, "records of the auth store are not this server's", [("path", path), ("count", "\(refused)")])
    }
    return state
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
      var state = try Self.parse(Self.stamp(path) == nil ? [] : try Self.read(path), path, key)
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
    var bytes = Array((Self.header + "\n").utf8)
    for record in state.records {
      let text = Array(record.text.utf8)
      bytes += Base64.encodeURL(key.code(text, for: .record)).utf8
      bytes.append(UInt8(ascii: " "))
      bytes += text
      bytes.append(UInt8(ascii: "\n"))
    }
    try Self.replace(path, with: bytes)
  }

  // MARK: Files

  /// The key beside the store, made where there is none; never overwritten.
  private static func loadKey(_ path: String) throws(SystemError) -> [UInt8] {
    let file = path + ".key"
    try makeFolder(of: path)
    if unsafe access(file, F_OK) != 0 {
      let temporary = "\(file).\(getpid())"
      try writeNew(temporary, [UInt8](random: ServerKey.bytes))
      // Whoever is first wins: a link does not replace what is there.
      let result = unsafe link(temporary, file)
      let error = SystemError.last("link")
      unsafe unlink(temporary)
      guard result == 0 || error.code == EEXIST else { throw error }
    }
    let bytes = try read(file)
    guard bytes.count == ServerKey.bytes else { throw SystemError(operation: "read \(file)", code: EINVAL) }
    return bytes
  }

  private static func makeFolder(of path: String) throws(SystemError) {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
    let folder = String(path[..<slash])
    if unsafe mkdir(folder, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT else { throw .last("mkdir \(folder)") }
    try makeFolder(of: folder)
    guard unsafe mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw .last("mkdir \(folder)") }
  }

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

  private static func writeNew(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
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

  private static func read(_ path: String) throws(SystemError) -> [UInt8] {
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
