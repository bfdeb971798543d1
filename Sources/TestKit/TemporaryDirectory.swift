import Glibc
import ParleyRuntime
import Synchronization

/// A directory of one test, removed with everything in it when the value's last reference goes, or the process exits.
public final class TemporaryDirectory: Sendable {
  /// Its absolute path, without a slash at the end.
  public let path: String

  /// Makes an empty directory, mode 0700, below `parent` (`TMPDIR`, else /tmp). Throws what the kernel refuses.
  public init(in parent: String? = nil) throws(SystemError) {
    let base = parent ?? Environment.value("TMPDIR") ?? "/tmp"
    var template = Array("\(base)/parley-test-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp \(base)") }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    Self.live.withLock { _ = $0.insert(path) }
    _ = Self.sweep
  }

  deinit {
    Self.live.withLock { _ = $0.remove(path) }
    Self.remove(path)
  }

  private static let live = Mutex<Set<String>>([])
  /// Values that live as long as the process never see their `deinit`.
  private static let sweep: Void = { atexit { for path in live.withLock({ $0 }) { remove(path) } } }()

  /// The path of an entry.
  public func path(_ name: String) -> String { path + "/" + name }

  /// Removes a tree as far as possible: what cannot be removed stays, since the test's verdict does not depend on it.
  private static func remove(_ path: String) {
    if let directory = unsafe opendir(path) {
      defer { unsafe closedir(directory) }
      while let entry = unsafe readdir(directory) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name.0) { unsafe String(cString: $0) }
        if name == "." || name == ".." { continue }
        let child = path + "/" + name
        // An unlinked directory fails with EISDIR, so links to directories are not followed.
        if unsafe unlink(child) != 0 { remove(child) }
      }
    }
    unsafe rmdir(path)
  }
}

/// Environment variables of this process.
public enum Environment {
  /// The variable's value; nil where it is not set.
  public static func value(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }
}
