import ParleyRuntime

/// How a file log is set up: the `backend_config` of `backend: filelog`.
public struct FileLogOptions: Hashable, Sendable {
  /// The directory that holds one file for each topic; it must exist, on a local file system.
  public var directory: String

  /// Makes options.
  public init(directory: String) { self.directory = directory }
}
