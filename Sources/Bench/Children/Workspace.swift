import Glibc

/// A directory of its own for one scenario: databases, configurations, what the children say on standard error.
final class Workspace {
  let path: String

  /// Made inside `parent`, which decides the file system that is measured.
  init(in parent: String) throws(BenchError) {
    var template = Array((parent + "/parley-bench.XXXXXX").utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw BenchError("cannot make a directory in \(parent)") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // Parley's own state and caches belong to the run, not to the user who measures.
    unsafe setenv("XDG_STATE_HOME", path + "/state", 1)
    unsafe setenv("XDG_CACHE_HOME", path + "/cache", 1)
  }

  deinit { Files.remove(path) }

  /// Where children of this workspace write their standard error.
  var errors: String { path + "/stderr" }

  /// A path in the directory.
  func file(_ name: String) -> String { path + "/" + name }

  /// What the children said on standard error, for an error's text.
  var complaints: String { String((Files.text(errors) ?? "").suffix(2000)) }
}
