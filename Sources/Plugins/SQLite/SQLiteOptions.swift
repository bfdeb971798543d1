import ParleyRuntime

/// How a SQLite backend is set up: the `backend_config` of `backend: sqlite`.
public struct SQLiteOptions: Hashable, Sendable {
  /// What a commit waits for.
  public enum CommitDurability: String, Hashable, Sendable, CaseIterable {
    /// `PRAGMA synchronous=FULL`: a post survives power loss.
    case full
    /// `PRAGMA synchronous=NORMAL`: a post survives a crash of the process; the last ones may be lost with the power.
    case normal
  }

  /// The database file; its directory must exist.
  public var path: String
  /// How often subscriptions look for commits of programs that do not touch the sidecar; at least 10 ms.
  public var pollInterval: Duration
  /// Messages older than this many days are deleted at connect and then hourly, but for reserved topics; nil keeps all.
  public var retentionDays: Double?
  /// What a commit waits for.
  public var durability: CommitDurability

  /// Makes options.
  public init(
    path: String, pollInterval: Duration = .seconds(1), retentionDays: Double? = nil,
    durability: CommitDurability = .full
  ) {
    self.path = path
    self.pollInterval = pollInterval
    self.retentionDays = retentionDays
    self.durability = durability
  }
}
