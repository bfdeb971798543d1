import Glibc
import ParleyRuntime

/// The other executables of an installation.
enum Siblings {
  /// Beside this executable, else in `../libexec/parley`.
  static func path(of name: String) throws(CommandFailure) -> String {
    let own: String
    do throws(SystemError) { own = try ownPath() } catch {
      throw CommandFailure(.failed, code: "failed", error.description)
    }
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

/// How `parley` becomes the executable that carries the configured backend, before a thread runs or input is read.
///
/// The environment tells the version from one to the other: two versions are never mixed unnoticed, and whoever was
/// entered so never hands over again, so that a wrong installation is an error and not a loop.
enum Handover {
  private static let variable = "PARLEY_HANDOVER"

  /// Becomes the sibling, with the same arguments; returns only with the reason why that failed.
  static func become(_ name: String) -> String {
    do throws(CommandFailure) {
      let path = try Siblings.path(of: name)
      unsafe setenv(variable, ParleyVersion.text, 1)
      defer { unsafe unsetenv(variable) }
      return Siblings.exec(path, [path] + CommandLine.arguments.dropFirst()).description
    } catch {
      return error.description
    }
  }

  /// Whether this process was entered by a handover. Throws where the one that handed over is of another version.
  static func wasEntered() throws(CommandFailure) -> Bool {
    guard let version = unsafe getenv(variable).map({ unsafe String(cString: $0) }) else { return false }
    // Our own children are not entered by it.
    unsafe unsetenv(variable)
    guard version == ParleyVersion.text else {
      let own = (try? Siblings.ownPath()) ?? "this program"
      throw CommandFailure(
        .failed, code: "version",
        "\(own) has version \(ParleyVersion.text), but parley, which became it, has \(version): run 'make install'")
    }
    return true
  }
}
