import Glibc
import ParleyRuntime

/// The file in which a state is left for the next run: this user's alone, replaced as a whole, and read as if anybody
/// had written it. Its calls block.
struct StateFileHandle: Sendable {
  /// Larger ones are neither written nor read, in bytes.
  static let byteLimit = 64 << 20

  private let folder: String
  let path: String

  /// The file of the state with this name; `folder` is made when it is written.
  init(folder: String, name: String) {
    self.folder = folder
    path = "\(folder)/\(SHA256.hexadecimal(name, digits: 32)).state"
  }

  /// What was left under this name; nil where there is nothing, or nothing that can be used.
  func read(_ name: String) -> KeptState? {
    let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
      status.st_mode & 0o077 == 0, status.st_size <= Self.byteLimit
    else { return nil }
    let size = Int(status.st_size)
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      while count < size {
        let read = unsafe Glibc.read(descriptor, buffer.baseAddress! + count, size - count)
        guard read > 0 else { return }
        count += read
      }
    }
    guard let kept = KeptState(bytes), kept.name == name else { return nil }
    return kept
  }

  /// Leaves a state; after a crash of the machine it may be gone or damaged, which reading notices.
  func write(_ kept: KeptState) throws(SystemError) {
    let bytes = kept.bytes
    guard bytes.count <= Self.byteLimit else { throw SystemError(operation: "write \(path)", code: EFBIG) }
    try PrivateFolder.make(folder)
    let draft = "\(path).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let descriptor = try SystemError.check("open \(draft)", unsafe Glibc.open(draft, flags, 0o600))
    do throws(SystemError) {
      defer { close(descriptor) }
      var written = 0
      while written < bytes.count {
        let count = unsafe bytes.withUnsafeBytes {
          unsafe Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written)
        }
        guard count > 0 else { throw .last("write \(draft)") }
        written += count
      }
      guard unsafe rename(draft, path) == 0 else { throw .last("rename \(draft)") }
    } catch {
      unsafe unlink(draft)
      throw error
    }
  }
}
