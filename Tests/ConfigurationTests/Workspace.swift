import Glibc
import ParleyRuntime
import Testing

@testable import ParleyConfiguration

/// A directory of its own with a home, a project folder and an environment, removed with the value.
final class Workspace {
  let root: String
  var environment: [String: String] = [:]
  var folder = "project"

  init() throws {
    var template = Array("\(Surroundings.process["TMPDIR"] ?? "/var/tmp")/parley-configuration-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp") }
    root = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    try PrivateFolder.make(root + "/project")
    try PrivateFolder.make(root + "/home")
  }

  deinit { Self.remove(root) }

  var surroundings: Surroundings {
    Surroundings(environment: environment, workingDirectory: "\(root)/\(folder)", home: root + "/home")
  }

  /// Writes a file below the root, with the directories above it.
  @discardableResult
  func write(_ path: String, _ bytes: [UInt8], mode: mode_t = 0o600) throws -> String {
    let path = "\(root)/\(path)"
    try PrivateFolder.make(Path.parent(path))
    let descriptor = try SystemError.check("creat", creat(path, mode))
    defer { close(descriptor) }
    fchmod(descriptor, mode)
    #expect(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    return path
  }

  @discardableResult
  func write(_ path: String, _ text: String, mode: mode_t = 0o600) throws -> String {
    try write(path, Array(text.utf8), mode: mode)
  }

  func load(
    _ text: String? = nil, path: String? = nil, leasesHandle: Bool = false, mode: mode_t = 0o600
  ) throws -> LoadedConfiguration {
    if let text { try write("\(folder)/parley.config.yaml", text, mode: mode) }
    return try Configuration.load(
      path: path, in: surroundings, backends: [sqlite, remote], leasesHandle: leasesHandle)
  }

  /// The problems of a text, as people see them.
  func problems(_ text: String) throws -> [String] {
    do {
      _ = try load(text)
      return []
    } catch let error as ConfigurationError {
      return error.problems.map(\.description)
    }
  }

  private static func remove(_ path: String) {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { remove(path + "/" + name) }
      }
      closedir(directory)
      rmdir(path)
    } else {
      unlink(path)
    }
  }
}

/// As the SQLite plugin describes itself.
let sqlite = BackendDescription(
  name: "sqlite", aliases: ["local-sqlite"],
  schema: SettingsSchema([
    Setting("db_path", .path, default: .string("parley.db"), "The database file."),
    Setting("poll_interval_ms", .integer(1...60_000), default: .integer(1_000), "The safety poll."),
    Setting("retention_days", .number(0...(.infinity)), "Older messages are deleted."),
    Setting("durability", .choice(["full", "normal"]), default: .string("full"), "What a commit waits for."),
  ]), projectFile: BackendDescription.ProjectFile(setting: "db_path", name: "parley.db"))

/// A backend behind a password.
let remote = BackendDescription(
  name: "remote", aliases: ["local-remote"],
  schema: SettingsSchema([
    Setting("url", .string(minimumBytes: 1), default: .string("remote://127.0.0.1"), "Where it is."),
    Setting("password", .secret, "What opens it."),
    Setting("rooms", .texts, "Names of topics."),
  ]))

/// The smallest valid file: four lines.
let minimal = """
  identity:
    handle: alice
  topics: [general]

  """
