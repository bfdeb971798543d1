import ParleyConfiguration
import ParleyRuntime
import Synchronization

/// From a configuration to the parts that run.
enum Launch {
  private static let registry = Mutex<[BackendPlugin]>([])

  /// The backends this executable carries; set once before any command runs.
  static var plugins: [BackendPlugin] {
    get { registry.withLock { $0 } }
    set { registry.withLock { $0 = newValue } }
  }

  static func load(_ shared: SharedOptions, leasesHandle: Bool = false) throws(ConfigurationError) -> LoadedConfiguration {
    try Configuration.load(
      path: shared.config, surroundings: .current, backends: plugins.map(\.description), leasesHandle: leasesHandle)
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
    if let handle, handle != own, !configuration.identity.mayPostAs.contains(handle) {
      throw .handleNotAllowed(Handle(handle))
    }
    let isOwn = handle == nil || handle == own
    return Author(
      handle: Handle(handle ?? own), instance: UUIDv4.make(), stableInstance: isOwn ? configuration.instanceID : nil)
  }

  static func setup(_ configuration: Configuration, author: Author, patience: Duration = .seconds(10)) -> Hub.Setup {
    var setup = Hub.Setup(author: author, topics: configuration.topics.map(Topic.init))
    setup.postPatterns = configuration.postTopics
    setup.presenceTopic = Topic(configuration.presence.topic)
    setup.limits = configuration.limits
    setup.patience = patience
    return setup
  }
}
