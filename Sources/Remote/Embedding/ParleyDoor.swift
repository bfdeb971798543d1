import ParleyHTTPClient
import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// A running HTTP door of a Swift program over a backend of its choice: MCP, `/v1` and logins, as `parley serve --http`
/// has them.
public final class ParleyDoor: Sendable {
  /// Where it listens, as in `DoorSetup.listen`, with the port that the kernel chose.
  public let addresses: [String]
  private let server: RemoteServer
  private let life: Task<DoorFailure?, Never>

  private init(addresses: [String], server: RemoteServer, life: Task<DoorFailure?, Never>) {
    self.addresses = addresses
    self.server = server
    self.life = life
  }

  /// Opens a door, which connects the backend and runs on its loop from then on. `isOwner` decides who may let clients
  /// in.
  ///
  /// Throws when the setup does not hold, when the store cannot be used, and when it cannot listen.
  public static func open(
    _ setup: DoorSetup, over backend: any Backend, isOwner: @escaping OwnerVerifier
  ) async throws(DoorFailure) -> ParleyDoor {
    let loop = backend.loop
    return try await loop.spawn { await open(setup, over: backend, on: loop, isOwner) }.value.get()
  }

  /// Returns when the door has ended, by `end` or by a signal. Throws what ended it otherwise.
  public func wait() async throws(DoorFailure) {
    if let failure = await life.value { throw failure }
  }

  /// Ends it: short calls are answered, waiting ones and streams end. Returns when all of it is done.
  public func end() async {
    await server.end()
    _ = await life.value
  }

  private static func open(
    _ setup: DoorSetup, over backend: any Backend, on loop: EventLoop, _ isOwner: @escaping OwnerVerifier
  ) async -> Result<ParleyDoor, DoorFailure> {
    let opened = Waiters<Result<[String], DoorFailure>>(loop: loop)
    let ticket = opened.ticket()
    let (server, life): (RemoteServer, Task<DoorFailure?, Never>)
    do {
      server = try makeServer(setup, backend, isOwner) { places in
        opened.resume(ticket, .success(places.map(\.description)))
      }
    } catch {
      return .failure(DoorFailure("\(error)"))
    }
    life = loop.spawn { () async -> DoorFailure? in
      do throws(SystemError) {
        try await server.run(watchesProcess: setup.endsWithSignals)
        return nil
      } catch {
        let failure = DoorFailure(error.description)
        opened.resume(ticket, .failure(failure))
        return failure
      }
    }
    guard case .value(let outcome) = await opened.wait(ticket, until: nil) else {
      await server.end()
      return .failure(DoorFailure("cancelled"))
    }
    return outcome.map { ParleyDoor(addresses: $0, server: server, life: life) }
  }

  private static func makeServer(
    _ setup: DoorSetup, _ backend: any Backend, _ isOwner: @escaping OwnerVerifier,
    listening: @escaping @Sendable ([Endpoint]) -> Void
  ) throws -> RemoteServer {
    guard let endpoint = Endpoint(listening: setup.listen) else {
      throw DoorFailure("listen: \(setup.listen) is no place to listen")
    }
    guard let address = PublicAddress(setup.publicURL) else {
      throw DoorFailure("publicURL: \(setup.publicURL) is not the origin of a server")
    }
    let loop = backend.loop
    let store = try FileAuthStore(setup.store)
    var options = DoorOptions(
      version: ParleyVersion.text, endpoints: [endpoint],
      authenticator: StoredTokens(loop: loop, store: store, address: address, configured: nil))
    options.access.hosts = [address.host]
    options.access.origins = [address.issuer]
    options.metadata = OAuthMetadata(address)
    options.livePush = setup.pushes ? StdioServer.LivePush() : nil
    options.owner.isOwner = isOwner
    options.authorization = (store, authorization(setup, address, loop))
    let hub = Hub.Setup(
      author: Author(handle: setup.handle, instance: UUIDv4.make()), topics: setup.topics)
    let supervisor = Supervisor(
      loop: loop, backend: backend.behindDoor(key: store.key, metrics: options.metrics))
    return try RemoteServer(
      hub: hub, supervisor: supervisor, offer: .standard(), options: options, listening: listening)
  }

  private static func authorization(
    _ setup: DoorSetup, _ address: PublicAddress, _ loop: EventLoop
  ) -> AuthorizationOptions {
    var client = HTTPClientOptions(userAgent: "parley/\(ParleyVersion.text)", idleConnections: 0)
    client.onlyPublic = true
    var options = AuthorizationOptions(
      address: address, handle: setup.handle,
      fetch: MetadataDocuments.network(HTTPClient(loop: loop, options: client)))
    options.suggestions = setup.handles
    return options
  }
}
