import ArgumentParser
import Glibc
import ParleyRuntime

/// `parley bench`: becomes `parley-bench`, so that no floor's library loads elsewhere.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure this machine: latency and throughput beside a plain C floor.",
    discussion: "Takes parley-bench's arguments; see 'parley bench --help'.")

  @Argument(parsing: .captureForPassthrough)
  var arguments: [String] = []

  func run() throws {
    let path = try Siblings.path(of: "parley-bench")
    unsafe setenv("PARLEY_BIN", try Siblings.ownPath(), 1)
    throw Siblings.exec(path, [path] + arguments)
  }
}

/// The other executables of an installation.
enum Siblings {
  /// Beside this executable, else in `../libexec/parley`.
  static func path(of name: String) throws -> String {
    let own = try ownPath()
    let folder = own.prefix(upTo: own.lastIndex(of: "/") ?? own.startIndex)
    for candidate in ["\(folder)/\(name)", "\(folder)/../libexec/parley/\(name)"]
    where unsafe access(candidate, X_OK) == 0 {
      return candidate
    }
    throw CommandFailure(
      .failed, code: "missing", "\(name) is neither beside \(own) nor in its ../libexec/parley; run 'make install'")
  }

  /// Where this executable lies.
  static func ownPath() throws(SystemError) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
    guard count > 0 else { throw SystemError.last("readlink /proc/self/exe") }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Replaces this process; returns only with the reason why that failed.
  static func exec(_ path: String, _ arguments: [String]) -> SystemError {
    var pointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
    unsafe execv(path, &pointers)
    return SystemError.last("exec \(path)")
  }
}
