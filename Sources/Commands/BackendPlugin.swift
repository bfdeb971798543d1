import ParleyRuntime

/// One backend as an executable wires it in: what configuration may say of it, and how it is made.
public struct BackendPlugin: Sendable {
  /// Name, aliases and the schema of `backend_config`.
  public let description: BackendDescription
  /// Makes the backend on a loop, from validated settings; must not block or connect.
  public let make: @Sendable (EventLoop, Settings) throws(SeamError) -> any Backend
  /// Looks at what only this backend knows (files, rights, server settings, what the topics need), for `doctor`.
  public let diagnose: @Sendable (Settings, [Topic]) async -> [Finding]
  /// Where people take part with clients and accounts of their own: how `demo` lets one.
  public let people: DemoPeople?
  /// Versions of the libraries it uses, for `version`; asked only then, since it may load a library.
  public let versions: @Sendable () -> [(name: String, version: String)]

  /// Makes a plugin.
  public init(
    description: BackendDescription,
    make: @escaping @Sendable (EventLoop, Settings) throws(SeamError) -> any Backend,
    diagnose: @escaping @Sendable (Settings, [Topic]) async -> [Finding] = { _, _ in [] },
    people: DemoPeople? = nil,
    versions: @escaping @autoclosure @Sendable () -> [(name: String, version: String)] = []
  ) {
    self.description = description
    self.make = make
    self.diagnose = diagnose
    self.people = people
    self.versions = versions
  }
}

/// One thing that `doctor` found, with its fix.
public struct Finding: Hashable, Sendable {
  /// How bad it is.
  public enum Level: String, Hashable, Sendable, CaseIterable {
    /// As it should be.
    case ok
    /// Worth knowing.
    case note
    /// Works, but will hurt.
    case warning
    /// Does not work.
    case error
  }

  /// How bad it is.
  public let level: Level
  /// What was looked at, one or two words.
  public let subject: String
  /// What was found.
  public let what: String
  /// What to do about it; nil where nothing has to be done.
  public let fix: String?

  /// Makes a finding.
  public init(_ level: Level, _ subject: String, _ what: String, fix: String? = nil) {
    self.level = level
    self.subject = subject
    self.what = what
    self.fix = fix
  }
}
