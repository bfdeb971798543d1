import Glibc
import ParleyCommands
import ParleyConfiguration
import ParleyHTTPServer
import ParleyMCP
import ParleyRemote
import ParleyRuntime
import ParleyTLS

extension HTTPDoor {
  /// MCP over HTTP, as the block `http` of the configuration says.
  static let remote = HTTPDoor { room in
    allowManyDescriptors(room.http.connections)
    do {
      let server = try RemoteServer(
        hub: room.hub, supervisor: room.supervisor, offer: room.offer, options: try options(of: room)
      ) { places in
        Log.write(
          .notice,
          "door open — handle=\(room.hub.author.handle) "
            + "topics=[\(room.hub.topics.map(\.name).joined(separator: ", "))] "
            + "listening=[\(places.map { "\($0)" }.joined(separator: ", "))] token=\(room.http.token != nil)")
      }
      try await server.run()
      return nil
    } catch {
      return error
    }
  }

  private static func options(of room: Room) throws(SeamError) -> DoorOptions {
    let http = room.http
    let authenticator: any Authenticator = http.token.map { StaticToken($0) } ?? OpenDoor()
    var options = DoorOptions(version: room.session.version, endpoints: http.listen, authenticator: authenticator)
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
    options.sessions = http.sessions
    options.sessionIdleTime = http.sessionIdle
    options.livePush = room.session.livePush
    options.catchUp = room.session.catchUp
    options.importMarks = room.session.importMarks
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
