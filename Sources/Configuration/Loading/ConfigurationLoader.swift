import ParleyRuntime

extension Configuration {
  /// The file that is read when none is named.
  package static let defaultFileName = "parley.config.yaml"

  /// Finds, reads and validates the configuration.
  ///
  /// The file is `path` (from `--config`), else what `PARLEY_CONFIG` names, else `parley.config.yaml` in the working
  /// directory. A named file must exist; without any, the project's own defaults hold (see `Project`). `leasesHandle`
  /// asks for a handle that no living instance of the project holds; a one-shot command posts under the plain one.
  /// `toolNames` are what `tools` may name; unchecked where there are none. `compat` are tool sets to offer beside those
  /// of the file.
  /// Throws every problem of the file at once.
  package static func load(
    path: String? = nil, in surroundings: Surroundings, backends: [BackendDescription], leasesHandle: Bool,
    toolNames: [String] = [], compat: [String] = []
  ) throws(ConfigurationError) -> LoadedConfiguration {
    if let named = path ?? surroundings["PARLEY_CONFIG"] {
      return try ConfigurationLoader(
        file: named, surroundings: surroundings, backends: backends, toolNames: toolNames, compat: compat
      ).load()
    }
    if FileSystem.status(surroundings.absolute(defaultFileName)) != nil {
      return try ConfigurationLoader(
        file: defaultFileName, surroundings: surroundings, backends: backends, toolNames: toolNames, compat: compat
      ).load()
    }
    return try ProjectDefaults(surroundings: surroundings, backends: backends).load(
      leasesHandle: leasesHandle, compat: compat)
  }
}

/// Reads one file.
struct ConfigurationLoader {
  let file: String
  let surroundings: Surroundings
  let backends: [BackendDescription]
  let toolNames: [String]
  var compat: [String] = []

  private var path: String { surroundings.absolute(file) }
  private var environmentPath: String { Path.join(Path.parent(path), ".env") }

  func load() throws(ConfigurationError) -> LoadedConfiguration {
    let tree = try parse()
    let (variables, environmentProblems) = environmentFile()
    var reader = SettingsReader(file: file, directory: Path.parent(path), variables: variables)
    let backend = describedBackend(tree, reader)
    let schema = ConfigurationSchema.root(backend: backend, defaultBackend: Self.projectBackend(backends)?.name)
    var root = reader.block(schema, tree, path: "", line: 1)
    var problems = environmentProblems + reader.problems
    if backend == nil, let entry = root["backend"], case .string(let name) = entry.value, entry.origin != .default {
      problems.append(unknownBackend(name, entry))
    }
    let rules = ConfigurationRules(
      file: file, root: root, surroundings: surroundings, toolNames: toolNames, compat: compat)
    problems += rules.problems
    var warnings = rules.warnings + exposedSecrets(reader)
    if case .boolean(false) = root["strict"]?.value {
      warnings += reader.unknownKeys
    } else {
      problems += reader.unknownKeys
    }
    guard problems.isEmpty, let backend else { throw ConfigurationError(problems: problems, warnings: warnings) }
    Self.derive(&root, backend: backend, in: surroundings)
    if case .strings(let named) = root["compat"]?.value, !compat.isEmpty {
      root.derive("compat", .strings(named + compat.filter { !named.contains($0) }), from: "the file and --compat")
    }
    return LoadedConfiguration(
      configuration: Configuration(root.settings, backend: backend), warnings: warnings.inFileOrder, path: file,
      handleLease: nil, root: root)
  }

  /// The backend that needs no configuration.
  static func projectBackend(_ backends: [BackendDescription]) -> BackendDescription? {
    backends.first { $0.projectFile != nil }
  }

  /// Fills in what follows from other keys.
  static func derive(_ root: inout ResolvedBlock, backend: BackendDescription, in surroundings: Surroundings) {
    root.derive("backend", .string(backend.name), from: describe(root["backend"], backend))
    let handle = root.entry("identity.handle")?.value
    if root["instance_id"]?.value == nil, let handle { root.derive("instance_id", handle, from: "identity.handle") }
    if root.entry("presence.ttl_ms")?.value == nil, case .integer(let beat) = root.entry("presence.heartbeat_ms")?.value
    {
      root.derive("presence.ttl_ms", .integer(3 * beat), from: "3 times presence.heartbeat_ms")
    }
    if root.entry("auth.store")?.value == nil, case .string(let id) = root["instance_id"]?.value {
      let path = ReadState.folder(instanceID: id, in: surroundings) + "/auth.store"
      root.derive("auth.store", .string(path), from: "instance_id")
    } else if case .string(let path) = root.entry("auth.store")?.value, !path.contains("://") {
      root.set("auth.store", .string(surroundings.absolute(path)))
    }
    if root["state_path"]?.value == nil, case .string(let id) = root["instance_id"]?.value {
      let path = ReadState.path(instanceID: id, in: surroundings)
      root.derive("state_path", .string(path), from: "instance_id")
    } else if case .string(let path) = root["state_path"]?.value {
      root["state_path"]?.value = .string(surroundings.absolute(path))
    }
  }

  private static func describe(_ entry: ResolvedBlock.Entry?, _ backend: BackendDescription) -> String {
    guard let entry, case .string(let written) = entry.value else { return "default" }
    switch entry.origin {
    case .file(let line) where written != backend.name: return "line \(line), written \(quoted(written))"
    case .file(let line): return "line \(line)"
    case .variable(let line): return "line \(line), from the environment"
    default: return "default"
    }
  }

  private func parse() throws(ConfigurationError) -> YAMLNode? {
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try FileSystem.read(path, limit: YAMLReader.byteLimit)
    } catch {
      throw ConfigurationError(problems: [problem(nil, .unreadable(reason: error.description))])
    }
    do throws(YAMLError) {
      return try YAMLReader.read(bytes)
    } catch {
      throw ConfigurationError(problems: [problem(error.mark.line, .syntax(reason: error.reason))])
    }
  }

  private func environmentFile() -> (Variables, [ConfigurationProblem]) {
    var environmentFile = EnvironmentFile()
    var problems: [ConfigurationProblem] = []
    if FileSystem.status(environmentPath) != nil {
      let shown = file.contains("/") ? Path.join(Path.parent(file), ".env") : ".env"
      do throws(SystemError) {
        let bytes = try FileSystem.read(environmentPath, limit: YAMLReader.byteLimit)
        if let text = String(validating: bytes, as: UTF8.self), bytes.count <= YAMLReader.byteLimit {
          environmentFile = EnvironmentFile(text)
        } else {
          problems.append(
            ConfigurationProblem(file: shown, line: nil, .unreadable(reason: "no UTF-8 text of 1 MiB at most")))
        }
      } catch {
        problems.append(ConfigurationProblem(file: shown, line: nil, .unreadable(reason: error.description)))
      }
      problems += environmentFile.malformedLines.map {
        ConfigurationProblem(file: shown, line: $0, .malformedEnvironmentLine)
      }
    }
    return (Variables(process: surroundings.environment, file: environmentFile.values), problems)
  }

  /// The backend is read first, by itself, because its schema is a part of the file's; what is wrong is told later.
  private func describedBackend(_ tree: YAMLNode?, _ reader: SettingsReader) -> BackendDescription? {
    var scratch = reader
    guard let tree, tree["backend"] != nil else { return Self.projectBackend(backends) }
    let schema = SettingsSchema([Setting("backend", .string(minimumBytes: 1), "")])
    guard case .string(let name) = scratch.block(schema, tree, path: "", line: 1)["backend"]?.value else { return nil }
    return backends.first { $0.answers(to: name) }
  }

  private func unknownBackend(_ name: String, _ entry: ResolvedBlock.Entry) -> ConfigurationProblem {
    let names = backends.flatMap { [$0.name] + $0.aliases }
    var line: Int?
    switch entry.origin {
    case .file(let number), .variable(let number): line = number
    default: break
    }
    return ConfigurationProblem(file: file, line: line, keyPath: "backend", .unknownBackend(name, among: names))
  }

  private func exposedSecrets(_ reader: SettingsReader) -> [ConfigurationProblem] {
    func exposures(_ path: String) -> [Finding.Exposure] {
      let isTracked = GitRepository(enclosing: Path.parent(path))?.tracks(path) ?? false
      return (isTracked ? [.gitTracked] : [])
        + (FileSystem.status(path).map { $0.isRegular && $0.isWorldReadable } ?? false ? [.worldReadable] : [])
    }
    let literal = reader.literalSecrets.flatMap { secret in
      let path = secret.inEnvironmentFile ? environmentPath : self.path
      return exposures(path).map { exposure in
        ConfigurationProblem(
          file: file, line: secret.line, keyPath: secret.keyPath, .exposedSecret(exposure, file: Path.name(path)))
      }
    }
    let named = reader.secretFiles.flatMap { secret in
      exposures(secret.path).map { exposure in
        ConfigurationProblem(
          file: file, line: secret.line, keyPath: secret.keyPath, .exposedSecret(exposure, file: Path.name(secret.path))
        )
      }
    }
    return literal + named
  }

  private func problem(_ line: Int?, _ finding: Finding) -> ConfigurationProblem {
    ConfigurationProblem(file: file, line: line, finding)
  }
}
