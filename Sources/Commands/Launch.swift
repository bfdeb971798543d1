import ParleyConfiguration
import ParleyMCP
import ParleyRuntime
import Synchronization

/// From a configuration to the parts that run.
enum Launch {
  /// What an executable carries.
  struct Carried: Sendable {
    var plugins: [BackendPlugin] = []
    /// The executable that carries further backends.
    var sibling: String?
    /// How it serves over HTTP; nil where the sibling does.
    var door: HTTPDoor?
  }

  private static let registry = Mutex(Carried())

  /// What this executable carries; set once before any command runs.
  static var carried: Carried {
    get { registry.withLock { $0 } }
    set { registry.withLock { $0 = newValue } }
  }

  static var plugins: [BackendPlugin] { carried.plugins }

  /// Loads the configuration; where it names a backend of the sibling, the process becomes that, so a command calls
  /// this before it starts a thread or reads its input.
  static func load(
    _ shared: SharedOptions, leasesHandle: Bool = false, compat: [String] = []
  ) throws(ConfigurationError)
    -> LoadedConfiguration
  {
    do throws(ConfigurationError) {
      return try Configuration.load(
        path: shared.config, in: .process, backends: plugins.map(\.description), leasesHandle: leasesHandle,
        toolNames: StandardTools.configurableNames, compat: compat)
    } catch {
      guard let sibling = carried.sibling, error.namesUnknownBackend else { throw error }
      throw error.explainingUnknownBackend(Handover.become(sibling))
    }
  }

  /// Becomes the sibling where that alone carries the HTTP door; called before a thread is started.
  static func becomeDoorKeeper() throws(CommandFailure) {
    guard carried.door == nil, let sibling = carried.sibling else { return }
    throw CommandFailure(.failed, code: "missing", "HTTP is served by \(sibling): \(Handover.become(sibling))")
  }

  /// The backend that the command line names; becomes the sibling where only that may carry it.
  static func plugin(named name: String) throws(CommandFailure) -> BackendPlugin {
    if let plugin = plugins.first(where: { $0.description.answers(to: name) }) { return plugin }
    let known = plugins.map(\.description.name).joined(separator: ", ")
    let reason = carried.sibling.map { "; " + Handover.become($0) } ?? ""
    throw CommandFailure(.usage, code: "usage", "there is no backend named '\(name)', only \(known)\(reason)")
  }

  static func plugin(of configuration: Configuration) throws(CommandFailure) -> BackendPlugin {
    guard let plugin = plugins.first(where: { $0.description.name == configuration.backend }) else {
      throw CommandFailure(.configuration, code: "configuration", "no backend named \(configuration.backend)")
    }
    return plugin
  }

  static func makeBackend(_ configuration: Configuration, on loop: EventLoop) throws -> any Backend {
    try plugin(of: configuration).make(loop, configuration.backendSettings)
  }

  /// The configured identity with an instance id of this process, or another handle that may be posted as.
  static func author(of configuration: Configuration, as handle: String? = nil) throws(HubError) -> Author {
    let own = configuration.identity.handle
    let chosen = handle.map(Handle.init) ?? own
    guard chosen == own || configuration.identity.mayPostAs.contains(chosen) else { throw .handleNotAllowed(chosen) }
    return Author(
      handle: chosen, instance: UUIDv4.make(), stableInstance: chosen == own ? configuration.instanceID : nil,
      isSelfNamed: chosen == own && configuration.identity.isSelfNamed)
  }

  static func setup(_ configuration: Configuration, author: Author, patience: Duration = .seconds(10)) -> Hub.Setup {
    var setup = Hub.Setup(author: author, topics: configuration.topics)
    setup.postPatterns = configuration.postTopics
    setup.presenceTopic = configuration.presence.topic
    setup.presenceLifetime = configuration.presence.lifetime
    setup.isPerson = configuration.presence.kind == "person"
    setup.limits = configuration.limits
    // Both say how long a call may wait: the name that the TypeScript Parley knows, and ours.
    setup.limits.wait = min(configuration.limits.wait, configuration.catchUp.blockMax)
    setup.patience = patience
    setup.stateFolder = stateFolder(configuration)
    return setup
  }

  /// Where states of the configured store are left for the next run: a place for each store, which no secret tells.
  private static func stateFolder(_ configuration: Configuration) -> String? {
    guard let description = plugins.first(where: { $0.description.name == configuration.backend })?.description else {
      return nil
    }
    var parts = [description.name]
    for setting in description.schema.settings {
      if case .secret = setting.kind { continue }
      switch configuration.backendSettings[setting.name] {
      case .string(let text): parts += [setting.name, text]
      case .strings(let texts): parts += [setting.name] + texts
      case .texts(let texts): parts += [setting.name] + texts.map { "\($0.key)=\($0.value)" }.sorted()
      default: break
      }
    }
    let name = SHA256.hexadecimal(parts.joined(separator: "\u{1f}"), digits: 16)
    return "\(Surroundings.process.cacheDirectory)/\(description.name)-\(name)"
  }
}
