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
  static let remote = HTTPDoor(keys: .files) { backend, configuration in
    let metrics = DoorMetrics()
    let isGuarded = try isGuarded(configuration.http, configuration.access)
    let key = isGuarded ? try FileAuthStore(configuration.access.store).key : nil
    return Opening(backend: backend.behindDoor(key: key, metrics: metrics)) { await serve($0, metrics) }
  }

  private static func serve(_ room: Room, _ metrics: DoorMetrics) async -> (any Error)? {
    allowManyDescriptors(room.http.connections)
    do {
      var options = try options(of: room)
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
  private static func isGuarded(_ http: Configuration.HTTP, _ access: Configuration.Access) throws -> Bool {
    if http.token != nil || access.publicURL != nil || access.isSelfService { return true }
    return try DoorKeys.files.summary(access.store).tokens > 0
  }

  /// Who may enter: without any key, whoever can connect, which only `http.insecure` allows.
  private static func admit(_ room: Room, into options: inout DoorOptions) throws {
    let loop = room.supervisor.loop
    guard try isGuarded(room.http, room.access) else { return }
    let store = try FileAuthStore(room.access.store)
    let configured = room.http.token.map { StaticToken($0) }
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
    try admit(room, into: &options)
    if !http.hooks.isEmpty { options.hooks = (http.hooks.compactMap(Hook.init), try FileAuthStore(room.access.store)) }
    if room.access.isSelfService { options.keys = try FileAuthStore(room.access.store) }
    options.sessions = http.sessions
    options.sessionIdleTime = http.sessionIdle
    options.livePush = room.session.livePush
    options.catchUp = room.session.catchUp
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
