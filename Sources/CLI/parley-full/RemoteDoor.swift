import Glibc
import ParleyCommands
import ParleyConfiguration
import ParleyHTTPClient
import ParleyHTTPServer
import ParleyMCP
import ParleyRemote
import ParleyRuntime
import ParleyTLS

extension HTTPDoor {
  /// MCP over HTTP, as the blocks `http` and `auth` of the configuration say.
  static let remote = HTTPDoor(keys: .stored) { backend, configuration in
    let metrics = DoorMetrics()
    try DoorStore.check(configuration)
    let isGuarded = try isGuarded(configuration)
    let key = isGuarded ? try DoorStore.key(configuration.access) : nil
    let behind = backend.behindDoor(key: key, metrics: metrics, presenceTopic: configuration.presence.topic)
    return Opening(backend: behind) { await serve($0, isGuarded, metrics) }
  }

  private static func serve(_ room: Room, _ isGuarded: Bool, _ metrics: DoorMetrics) async -> (any Error)? {
    allowManyDescriptors(room.http.connections)
    do {
      var options = try options(of: room)
      if isGuarded || !room.http.hooks.isEmpty {
        let store = try await DoorStore.open(room.access, on: room.supervisor.loop)
        if isGuarded { try admit(room, by: store, into: &options) }
        if !room.http.hooks.isEmpty { options.hooks = (room.http.hooks.compactMap(Hook.init), store) }
      }
      options.metrics = metrics
      let server = try RemoteServer(
        hub: room.hub, supervisor: room.supervisor, offer: room.offer, options: options
      ) { places in
        Log.write(
          .notice,
          "door open — handle=\(room.hub.author.handle) "
            + "topics=[\(room.hub.topics.map(\.name).joined(separator: ", "))] "
            + "listening=[\(places.map { "\($0)" }.joined(separator: ", "))] "
            + "login=\(room.access.publicURL ?? "none") token=\(room.http.token != nil)")
      }
      try await server.run()
      return nil
    } catch {
      return error
    }
  }

  /// Whether whoever enters must show a key.
  private static func isGuarded(_ configuration: Configuration) throws -> Bool {
    let (http, access) = (configuration.http, configuration.access)
    if http.token != nil || http.consoleHandle != nil || access.publicURL != nil || access.isSelfService { return true }
    return try DoorKeys.stored.summary(configuration).tokens > 0
  }

  /// Who may enter: without any key, whoever can connect, which only `http.insecure` allows.
  private static func admit(_ room: Room, by store: any AuthStore, into options: inout DoorOptions) throws {
    let loop = room.supervisor.loop
    let configured = room.http.token.map { StaticToken($0) }
    options.console = room.http.consoleHandle.map { console(room, as: $0, store) }
    if room.access.isSelfService { options.keys = store }
    guard let publicURL = room.access.publicURL else {
      options.authenticator = StoredTokens(loop: loop, store: store, address: nil, configured: configured)
      return
    }
    guard let address = PublicAddress(publicURL) else {
      throw AuthStoreError("auth.public_url: \(publicURL) is not an origin that clients can reach; write it in ASCII")
    }
    options.access.hosts.insert(address.host)
    options.access.origins.insert(address.issuer)
    if case .oidc(let oidc) = room.authentication {
      return try admit(
        oidc, at: address, StoredTokens(loop: loop, store: store, address: nil, configured: configured), room,
        into: &options)
    }
    options.authenticator = StoredTokens(loop: loop, store: store, address: address, configured: configured)
    options.metadata = OAuthMetadata(address)
    var client = HTTPClientOptions(userAgent: "parley/\(room.session.version)", idleConnections: 0)
    client.onlyPublic = true
    var server = AuthorizationOptions(
      address: address, handle: room.hub.author.handle,
      fetch: MetadataDocuments.network(HTTPClient(loop: loop, options: client)))
    server.redirects = RedirectRules(further: room.access.redirects)
    server.suggestions = room.handles
    server.handleLimit = room.hub.limits.handleBytes
    options.authorization = (store, server)
  }

  /// Pages for the owner's browser.
  private static func console(_ room: Room, as handle: Handle, _ store: any AuthStore) -> ConsoleOptions {
    let address = room.access.publicURL.flatMap(PublicAddress.init)
    var options = ConsoleOptions(
      store: store, handle: handle, isSecure: address?.isSecure ?? (room.http.tls != nil))
    options.origin = address?.issuer
    options.approvals = room.session.approvals?.rules
    return options
  }

  /// Who may enter where an identity provider vouches.
  private static func admit(
    _ oidc: Configuration.OIDC, at address: PublicAddress, _ own: StoredTokens, _ room: Room,
    into options: inout DoorOptions
  ) throws {
    if let problem = JoseLibrary.problem {
      throw AuthStoreError("auth.mode oidc needs libcjose (Debian's libcjose0), which cannot be loaded: \(problem)")
    }
    let loop = room.supervisor.loop
    var rules = OIDCRules(issuer: oidc.issuer, audience: oidc.audience ?? address.resource)
    rules.requiredScope = oidc.requiredScope
    rules.allowedSubjects = oidc.allowedSubjects
    rules.allowedUsernames = oidc.allowedUsernames
    rules.requiredRole = oidc.requiredRole
    rules.clockSkew = oidc.clockSkew
    let client = HTTPClient(loop: loop, options: HTTPClientOptions(userAgent: "parley/\(room.session.version)"))
    options.authenticator = OIDCTokens(
      loop: loop, rules: rules,
      keys: KeySource(
        loop: loop, issuer: oidc.issuer, jwksURI: oidc.jwksURI, fetch: KeySource.network(client)),
      address: address, own: own)
    options.metadata = OAuthMetadata(
      resource: address, issuers: [oidc.issuer], scopes: oidc.requiredScope.map { $0.isEmpty ? [] : [$0] } ?? [])
  }

  private static func options(of room: Room) throws -> DoorOptions {
    let http = room.http
    var options = DoorOptions(version: room.session.version, endpoints: http.listen, authenticator: OpenDoor())
    options.name = room.session.name
    options.access.hosts = Set(http.hosts)
    options.access.origins = Set(http.origins)
    options.pages = Set(http.origins)
    options.access.allowedFrom = http.allowFrom
    options.access.proxies = http.trustedProxies
    options.limits.connections = http.connections
    options.limits.connectionsPerClient = http.connectionsPerClient
    options.limits.headTime = http.headTimeout
    options.limits.bodyTime = http.bodyTimeout
    options.limits.idleTime = http.idleTimeout
    if let tls = http.tls {
      let load: @Sendable () -> Result<CipherMaker, SeamError> = {
        do throws(SeamError) {
          let files = TLSOptions(certificateFile: tls.certificate, keyFile: tls.key)
          let context = try TLSContext(files, accepting: true)
          return .success({ try? context.server() })
        } catch { return .failure(error) }
      }
      options.makeCipher = try load().get()
      options.loadCipher = load
    }
    options.sessions = http.sessions
    options.namesSessions = room.access.namesSessions
    options.sessionIdleTime = http.sessionIdle
    options.livePush = room.session.livePush
    options.catchUp = room.session.catchUp
    options.presence = room.session.presence
    options.importMarks = room.session.importMarks
    if let endpoint = room.broker, let partner = room.offer.compat.duo { options.broker = (endpoint, partner) }
    return options
  }

  /// A connection takes a descriptor, and the usual limit of 1,024 is for programs that use select(2).
  private static func allowManyDescriptors(_ connections: Int) {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard unsafe getrlimit(resource, &limit) == 0 else { return }
    let wanted = rlim_t(connections + 256)
    guard limit.rlim_cur < wanted else { return }
    limit.rlim_cur = min(wanted, limit.rlim_max)
    _ = unsafe setrlimit(resource, &limit)
  }
}

extension Hook {
  fileprivate init?(_ hook: Configuration.Hook) {
    guard let kind = Kind(rawValue: hook.kind) else { return nil }
    self.init(name: hook.name, topic: hook.topic, kind: kind, secret: hook.secret, template: hook.template)
    handle = hook.handle
    source = hook.source
    severity = hook.severity
    bodyLimit = hook.bodyLimit
  }
}
