import CLinux
import Glibc
import ParleyRuntime

/// Small text files of tests.
public enum TextFile {
  /// The whole text; nil where the file cannot be read.
  public static func read(_ path: String) -> String? {
    let descriptor = unsafe parley_open(path, O_RDONLY | O_CLOEXEC, 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      guard count > 0 else { return count == 0 ? String(decoding: bytes, as: UTF8.self) : nil }
      bytes += chunk[..<count]
    }
  }

  /// Writes a file anew, mode 0600.
  public static func write(_ text: String, to path: String) throws(SystemError) {
    let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC
    let descriptor = try SystemError.check("open \(path)", unsafe parley_open(path, flags, 0o600))
    defer { close(descriptor) }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw SystemError.last("write \(path)") }
      rest = rest.dropFirst(count)
    }
  }
}
