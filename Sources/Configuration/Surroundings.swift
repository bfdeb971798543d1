/// What a process inherits and configuration depends on; injected, so that tests do not depend on the machine.
package struct Surroundings: Sendable {
  /// The environment's variables.
  package var environment: [String: String]
  /// The absolute path of the working directory.
  package var workingDirectory: String
  /// The absolute path of the user's home directory.
  package var home: String

  package init(environment: [String: String], workingDirectory: String, home: String) {
    self.environment = environment
    self.workingDirectory = workingDirectory
    self.home = home
  }

  /// Those of this process.
  package static var process: Surroundings {
    let environment = FileSystem.environment
    let home = environment["HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? FileSystem.homeDirectory
    return Surroundings(environment: environment, workingDirectory: FileSystem.workingDirectory, home: home)
  }

  /// The value of a variable that is set and not empty.
  package subscript(variable: String) -> String? {
    environment[variable].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The directory below which Parley keeps state: `$XDG_STATE_HOME/parley`, else `~/.local/state/parley`.
  ///
  /// A relative `XDG_STATE_HOME` is ignored, as the XDG Base Directory Specification asks.
  package var stateDirectory: String { directory("XDG_STATE_HOME", "/.local/state") }

  /// The directory below which Parley keeps what it can make again: `$XDG_CACHE_HOME/parley`, else `~/.cache/parley`.
  package var cacheDirectory: String { directory("XDG_CACHE_HOME", "/.cache") }

  private func directory(_ variable: String, _ standard: String) -> String {
    let base = self[variable].flatMap { $0.hasPrefix("/") ? $0 : nil }
    return (base ?? home + standard) + "/parley"
  }

  /// The working directory's own name; empty for the root.
  package var folderName: String { Path.name(workingDirectory) }

  /// A path from the working directory.
  package func absolute(_ path: String) -> String { Path.join(workingDirectory, path) }
}

/// Paths as text; nothing here looks at the disk.
enum Path {
  /// `path` itself when it is absolute, else below `directory`.
  static func join(_ directory: String, _ path: String) -> String {
    if path.hasPrefix("/") { return path }
    return directory.hasSuffix("/") ? directory + path : directory + "/" + path
  }

  /// The directory that a path lies in; `/` lies in itself.
  static func parent(_ path: String) -> String {
    guard let slash = trimmed(path).lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The last component; empty for `/`.
  static func name(_ path: String) -> String {
    trimmed(path).split(separator: "/", omittingEmptySubsequences: true).last.map(String.init) ?? ""
  }

  /// An absolute path without `.`, `..` and doubled slashes.
  static func normalised(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }

  private static func trimmed(_ path: String) -> Substring {
    var path = path[...]
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }
}
