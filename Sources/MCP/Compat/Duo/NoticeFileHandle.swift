import Glibc
import ParleyRuntime

/// A text file in a folder of ours that is changed as a whole: no symbolic link is followed, what somebody else changes
/// meanwhile is not undone, and our own processes take turns.
struct NoticeFileHandle: Sendable {
  /// Larger files are left alone.
  private static let byteLimit = 1 << 20

  let folder: String
  let name: String
  /// Nobody but this user may have written it, or may read it.
  var isPrivate = false

  /// Why a file was left as it is.
  enum Failure: Error, Hashable {
    case system(SystemError)
    /// No regular file, too large, no UTF-8, or open to others where it may not be.
    case unsuitable
    /// Somebody changed it at the same time.
    case changed
  }

  /// What a file was when it was read.
  private struct State: Equatable {
    var device: UInt64
    var inode: UInt64
    var size: Int64
    var seconds: Int
    var nanoseconds: Int
    var mode: mode_t
    var owner: uid_t

    init?(_ descriptor: CInt) {
      var status = stat()
      guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
      device = UInt64(status.st_dev)
      inode = UInt64(status.st_ino)
      size = Int64(status.st_size)
      seconds = status.st_mtim.tv_sec
      nanoseconds = status.st_mtim.tv_nsec
      mode = status.st_mode & 0o777
      owner = status.st_uid
    }
  }

  /// Replaces the text by what `edit` makes of it, at once for every reader; nothing where that is nil. A file that is not
  /// there counts as an empty one.
  func change(_ edit: (String) -> String?) throws(Failure) {
    if isPrivate {
      do throws(SystemError) { try PrivateFolder.make(folder) } catch { throw .system(error) }
    }
    let directory = try open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    defer { close(directory) }
    guard flock(directory, LOCK_EX) == 0 else { throw .system(.last("flock")) }
    var before: State?
    var text = ""
    let existing = unsafe openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    if existing >= 0 {
      defer { close(existing) }
      guard let state = State(existing), !isPrivate || state.owner == geteuid() && state.mode & 0o077 == 0,
        state.size <= Int64(Self.byteLimit)
      else { throw .unsuitable }
      guard let read = String(validating: try bytes(of: existing), as: UTF8.self) else { throw .unsuitable }
      before = state
      text = read
    } else if errno != ENOENT {
      throw errno == ELOOP ? Failure.unsuitable : Failure.system(.last("open"))
    }
    guard let edited = edit(text), edited != text else { return }
    try replace(in: directory, Array(edited.utf8), mode: before?.mode ?? (isPrivate ? 0o600 : 0o644), before)
  }

  /// Removes the file; nothing where it is not there.
  func remove() throws(Failure) {
    guard unsafe unlink(folder + "/" + name) == 0 || errno == ENOENT || errno == ENOTDIR else {
      throw .system(.last("unlink"))
    }
  }

  private func replace(in directory: CInt, _ bytes: [UInt8], mode: mode_t, _ before: State?) throws(Failure) {
    let temporary = ".\(name).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let descriptor = unsafe openat(directory, temporary, flags, mode)
    guard descriptor >= 0 else { throw .system(.last("open")) }
    defer { close(descriptor) }
    do throws(Failure) {
      var written = 0
      while written < bytes.count {
        let count = unsafe bytes.withUnsafeBytes {
          unsafe Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written)
        }
        guard count > 0 else { throw .system(.last("write")) }
        written += count
      }
      guard fsync(descriptor) == 0 else { throw .system(.last("fsync")) }
      let now = unsafe openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
      let state = now >= 0 ? State(now) : nil
      if now >= 0 { close(now) }
      guard state == before else { throw .changed }
      guard unsafe renameat(directory, temporary, directory, name) == 0 else { throw .system(.last("rename")) }
    } catch {
      unsafe unlinkat(directory, temporary, 0)
      throw error
    }
  }

  private func open(_ path: String, _ flags: CInt) throws(Failure) -> CInt {
    let descriptor = unsafe Glibc.open(path, flags, 0)
    guard descriptor >= 0 else { throw .system(.last("open")) }
    return descriptor
  }

  private func bytes(of descriptor: CInt) throws(Failure) -> [UInt8] {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while all.count <= Self.byteLimit {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      guard count >= 0 else { throw .system(.last("read")) }
      if count == 0 { return all }
      all += chunk[..<count]
    }
    throw .unsuitable
  }
}
