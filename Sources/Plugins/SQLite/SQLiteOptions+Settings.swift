import ParleyRuntime

extension SQLiteOptions {
  /// How configuration names the backend, and the keys of its `backend_config`.
  public static let description = BackendDescription(
    name: "sqlite", aliases: ["local-sqlite"],
    schema: SettingsSchema([
      Setting(
        "db_path", .path, default: .string("parley.db"),
        "The database file; it is made where it is missing, its directory must exist."),
      Setting(
        "durability", .choice(CommitDurability.allCases.map(\.rawValue)), default: .string("full"),
        "What a post waits for: full survives power loss, normal a crash of the process."),
      Setting(
        "poll_interval_ms", .integer(10...60_000), default: .integer(1000),
        "How often to look for writers that do not announce their commits, in milliseconds."),
      Setting(
        "retention_days", .number(0...36_500), "Messages older than this are deleted; without it all are kept."),
    ]),
    projectFile: .init(setting: "db_path", name: "parley.db"))

  /// Options from settings that were validated against the schema.
  public init(_ settings: Settings) {
    self.init(
      path: settings.string("db_path"), pollInterval: .milliseconds(settings.integer("poll_interval_ms")),
      retentionDays: settings.numberIfSet("retention_days"),
      durability: CommitDurability(rawValue: settings.string("durability")) ?? .full)
  }
}
