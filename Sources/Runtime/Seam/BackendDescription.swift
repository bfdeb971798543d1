/// What configuration knows of a backend that the program carries: how it is named and what can be set.
public struct BackendDescription: Sendable {
  /// The file that stands for a project when nobody configured anything: the setting that takes its path, its name.
  public struct ProjectFile: Hashable, Sendable {
    /// The key of `backend_config` that takes the file's path.
    public let setting: String
    /// The file's name in the project's state directory.
    public let name: String

    /// Makes a project file.
    public init(setting: String, name: String) {
      self.setting = setting
      self.name = name
    }
  }

  /// The name that `backend:` takes and cursors carry, for example `sqlite`.
  public let name: String
  /// Other names that `backend:` takes, for example `local-sqlite`.
  public let aliases: [String]
  /// The keys of its `backend_config`.
  public let schema: SettingsSchema
  /// Set where the backend needs no server, so that it can serve without a configuration.
  public let projectFile: ProjectFile?
  /// Where the backend has a server: the key of `backend_config` that takes its address, as text.
  public let addressSetting: String?

  /// Makes a description.
  public init(
    name: String, aliases: [String] = [], schema: SettingsSchema, projectFile: ProjectFile? = nil,
    addressSetting: String? = nil
  ) {
    self.name = name
    self.aliases = aliases
    self.schema = schema
    self.projectFile = projectFile
    self.addressSetting = addressSetting
  }

  /// Whether `backend:` may name it so.
  public func answers(to name: String) -> Bool { name == self.name || aliases.contains(name) }
}
