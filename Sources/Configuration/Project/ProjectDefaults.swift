import ParleyRuntime

/// The configuration of a project that has none: one file of its own, a handle after its folder, one topic, live push.
struct ProjectDefaults {
  /// The topic where everyone of the project is.
  static let topic = "general"

  let surroundings: Surroundings
  let backends: [BackendDescription]

  func load(leasesHandle: Bool, compat: [String] = []) throws(ConfigurationError) -> LoadedConfiguration {
    let project = Project(of: surroundings)
    if let server = CompatServer(compat, in: surroundings) { return try load(server, project, compat: compat) }
    guard let backend = ConfigurationLoader.projectBackend(backends), let projectFile = backend.projectFile else {
      throw problem(
        .unreadable(
          reason: "none is named, there is no \(Configuration.defaultFileName) here, and no backend serves without"))
    }
    let lease = try lease(project, leasesHandle: leasesHandle)
    let schema = ConfigurationSchema.root(backend: backend, defaultBackend: backend.name)
    let variables = Variables(process: [:], file: [:])
    var reader = SettingsReader(file: "", directory: "", variables: variables)
    var root = reader.block(schema, nil, path: "", line: 0)
    root.derive("identity.handle", .string(lease?.handle ?? project.baseHandle), from: "the folder's name")
    root.derive("topics", .strings([Self.topic]), from: "default without a file")
    root.derive("live_push.enabled", .boolean(true), from: "default without a file")
    var path = Path.join(project.stateDirectory, projectFile.name)
    var reason = "the project \(quoted(project.root))"
    if compat.contains("chatroom") {
      let folder = try chatroomFolder(project)
      path = Path.join(folder, projectFile.name)
      reason = "the chatroom of \(quoted(Path.parent(folder)))"
    }
    root.derive("backend_config.\(projectFile.setting)", .string(path), from: reason)
    if !compat.isEmpty { root.derive("compat", .strings(compat), from: "--compat") }
    root.derive(
      "auth.store", .string(Path.join(project.stateDirectory, "auth.store")),
      from: "the project \(quoted(project.root))")
    ConfigurationLoader.derive(&root, backend: backend, in: surroundings)
    return LoadedConfiguration(
      configuration: Configuration(root.settings, backend: backend), warnings: [], path: nil, handleLease: lease,
      root: root)
  }

  /// Behind the door of another Parley, under a name that is this process's claim.
  private func load(
    _ server: CompatServer, _ project: Project, compat: [String]
  ) throws(ConfigurationError) -> LoadedConfiguration {
    guard let backend = backends.first(where: { $0.answers(to: "parley") }) else {
      throw problem(.unknownBackend("parley", among: backends.map(\.name)))
    }
    let schema = ConfigurationSchema.root(backend: backend, defaultBackend: backend.name)
    var reader = SettingsReader(file: "", directory: "", variables: Variables(process: [:], file: [:]))
    var root = reader.block(schema, nil, path: "", line: 0)
    let reason = "$\(server.variable)"
    root.derive("identity.handle", .string(server.label ?? project.baseHandle), from: reason)
    root.derive("topics", .strings([Self.topic]), from: "default without a file")
    root.derive("compat", .strings(compat), from: "--compat")
    root.derive("backend_config.url", .string(server.url), from: reason)
    if let token = server.token { root.derive("backend_config.token", .string(token), from: "the environment") }
    if server.token == nil, let file = server.keyFile, let label = server.label {
      root.derive("backend_config.key_file", .string(file), from: reason)
      root.derive("backend_config.key_label", .string(label), from: reason)
    }
    root.derive("auth.store", .string(Path.join(project.stateDirectory, "auth.store")), from: "default without a file")
    ConfigurationLoader.derive(&root, backend: backend, in: surroundings)
    var configuration = Configuration(root.settings, backend: backend)
    configuration.identity.isSelfNamed = true
    return LoadedConfiguration(
      configuration: configuration, warnings: [], path: nil, handleLease: nil, root: root)
  }

  /// Where agents of one repository meet who were told of a chatroom: `.parley` in `CHATROOM_ROOT`, else in the
  /// repository. It tells git to ignore it.
  private func chatroomFolder(_ project: Project) throws(ConfigurationError) -> String {
    let folder = Path.join(Self.chatroomRoot(project, in: surroundings), ".parley")
    do throws(SystemError) {
      try PrivateFolder.make(folder)
      try FileSystem.create(Path.join(folder, ".gitignore"), "*\n")
    } catch {
      throw problem(.stateDirectory(path: folder, reason: error.description))
    }
    return folder
  }

  /// The folder that a chatroom belongs to.
  static func chatroomRoot(_ project: Project, in surroundings: Surroundings) -> String {
    guard var named = surroundings["CHATROOM_ROOT"]?.trimmingBlanks, !named.isEmpty else { return project.root }
    if named == "~" || named.hasPrefix("~/") { named = surroundings.home + named.dropFirst() }
    return Path.normalised(surroundings.absolute(named))
  }

  /// Makes the project's directory, and takes a handle where one is asked for.
  private func lease(_ project: Project, leasesHandle: Bool) throws(ConfigurationError) -> HandleLease? {
    var lease: HandleLease?
    do throws(SystemError) {
      try PrivateFolder.make(project.stateDirectory)
      guard leasesHandle else { return nil }
      lease = try HandleLease.take(project.baseHandle, in: project.stateDirectory + "/handles")
    } catch {
      throw problem(.stateDirectory(path: project.stateDirectory, reason: error.description))
    }
    guard let lease else { throw problem(.handlesTaken(project.baseHandle, tried: HandleLease.attempts)) }
    return lease
  }

  private func problem(_ finding: Finding) -> ConfigurationError {
    ConfigurationError(problems: [ConfigurationProblem(file: nil, line: nil, finding)])
  }
}

extension String {
  /// The text without blanks at its ends.
  fileprivate var trimmingBlanks: String {
    String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }
}
