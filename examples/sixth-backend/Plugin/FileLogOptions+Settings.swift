import ParleyRuntime

extension FileLogOptions {
  /// How configuration names the backend, and the keys of its `backend_config`.
  public static let description = BackendDescription(
    name: "filelog",
    schema: SettingsSchema([
      Setting("directory", .path, required: true, "The directory of the logs; it must exist, on a local file system.")
    ]))

  /// Options from settings that were validated against the schema.
  public init(_ settings: Settings) { self.init(directory: settings.string("directory")) }
}
