import Glibc
import ParleyCoordination
import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// MCP over HTTP: listens until it is told to end, then lets what is under way finish.
package actor RemoteServer: LoopActor {
  /// Calls that are nearly done are still answered after the signal to end.
  private static let settling: Duration = .milliseconds(500)

  /// Goodbyes of the handles that were there have so long.
  private static let leaving: Duration = .milliseconds(300)

  package nonisolated let loop: EventLoop
  private let supervisor: Supervisor
  private let options: DoorOptions
  private let rooms: Rooms
  private let mcp: MCPEndpoint
  private let calls: GuardedCalls
  private let console: ConsoleEndpoint?
  private let server: HTTPServer
  private let broker: Broker?
  private let ending: Waiters<Void>
  private let endTicket: UInt64
  private var hasEnded = false
  private let listening: @Sendable ([Endpoint]) -> Void

  /// Makes a server on the supervisor's loop. `listening` is told where it listens, before anything is served. Throws
  /// `badArgument` when a topic pattern does not compile.
  package init(
    hub setup: Hub.Setup, supervisor: Supervisor, offer: StdioServer.Offer, options: DoorOptions,
    listening: @escaping @Sendable ([Endpoint]) -> Void = { _ in }
  ) throws(HubError) {
    loop = supervisor.loop
    self.supervisor = supervisor
    self.options = options
    self.listening = listening
    rooms = try Rooms(setup: setup, supervisor: supervisor, offer: offer, options: options)
    var compat = offer.compat
    let authenticator = options.authenticator
    compat.isKnown = { authenticator.knows($0) }
    let keys = options.keys.map { KeyDesk($0, compat: compat, loop: supervisor.loop) }
    if let keys { compat.backchannel?.issueKey = { await keys.issue($0) } }
    mcp = MCPEndpoint(rooms: rooms, supervisor: supervisor, compat: compat, options: options)
    let calls = GuardedCalls(loop: supervisor.loop, options: options)
    self.calls = calls
    let hub = rooms.own.participant.hub
    let guarded: [any GuardedRoutes] = [
      APIEndpoint(rooms: rooms, options: options, calls: calls),
      RelayEndpoint(hub: hub, supervisor: supervisor, compat: compat, options: options, calls: calls),
    ]
    broker = try Self.broker(options, setup, compat, supervisor)
    let hooks = options.hooks.map {
      HookEndpoint(hub: hub, hooks: $0.list, store: $0.store, options: options, calls: calls)
    }
    // One count of wrong passphrases for all pages that ask for it.
    let owner = (options.authorization?.store ?? options.console?.store).map {
      OwnerCheck(loop: supervisor.loop, store: $0, options: options.owner, metrics: options.metrics)
    }
    let authorization = Self.authorization(options, owner, supervisor.loop)
    console = Self.console(options, owner, rooms, calls, supervisor)
    let door = Door(
      mcp: mcp, guarded: guarded, hooks: hooks, console: console, keys: keys, authorization: authorization,
      supervisor: supervisor, calls: calls, options: options)
    server = HTTPServer(loop: supervisor.loop, limits: options.limits, application: door)
    door.callCount = { [mcp, calls] in mcp.callCount + calls.count }
    door.connectionCount = { [weak server] in server?.connectionCount ?? 0 }
    console?.counts = { [mcp, weak server] in (mcp.sessionCount, server?.connectionCount ?? 0) }
    // Answers are for whoever asked, and nothing that a browser should keep or render.
    server.commonFields =
      [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
      + SecurityFields.all(isSecure: options.metadata?.isSecure ?? false)
    server.cipher = options.makeCipher
    server.proxies = options.access.proxies
    ending = Waiters(loop: supervisor.loop)
    endTicket = ending.ticket()
  }

  /// The Duo broker beside the door, on a listener of its own.
  private struct Broker {
    let server: HTTPServer
    let listener: BrokerListener
    let partners: DuoPartners
  }

  private static func broker(
    _ options: DoorOptions, _ setup: Hub.Setup, _ compat: CompatOptions, _ supervisor: Supervisor
  ) throws(HubError) -> Broker? {
    guard let broker = options.broker else { return nil }
    // Nobody's own: a partner is whom it says that it is, and no handle of the configuration.
    var own = setup
    own.author = Author(handle: Handle("duo-broker"), instance: "duo-broker \(broker.endpoint)", isSelfNamed: true)
    let partners = DuoPartners(
      hub: try Hub(setup: own, supervisor: supervisor), options: broker.partner, guarded: compat.guarded,
      isKnown: compat.isKnown)
    let listener = BrokerListener(
      DuoBroker(partners), loop: supervisor.loop, bodyLimit: setup.limits.contentBytes + (16 << 10))
    let server = HTTPServer(loop: supervisor.loop, limits: options.limits, application: listener)
    server.commonFields = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    return Broker(server: server, listener: listener, partners: partners)
  }

  private static func authorization(
    _ options: DoorOptions, _ owner: OwnerCheck?, _ loop: EventLoop
  ) -> AuthorizationServer? {
    guard let server = options.authorization, let owner else { return nil }
    return AuthorizationServer(
      loop: loop, store: server.store, options: server.options, owner: owner, metrics: options.metrics)
  }

  private static func console(
    _ options: DoorOptions, _ owner: OwnerCheck?, _ rooms: Rooms, _ calls: GuardedCalls, _ supervisor: Supervisor
  ) -> ConsoleEndpoint? {
    guard let console = options.console, let owner else { return nil }
    return ConsoleEndpoint(
      rooms: rooms, supervisor: supervisor, options: console, door: options, calls: calls, owner: owner)
  }

  /// Serves until `end`, cancellation, SIGINT or SIGTERM; the parent's death changes nothing. On SIGHUP the
  /// certificate is read anew, for connections from then on.
  ///
  /// Runs the supervisor too. Throws when it cannot listen where it should.
  package func run(watchesProcess: Bool = true) async throws(SystemError) {
    let process =
      watchesProcess
      ? ProcessWatch(loop: loop, watchesParent: false) { [weak self] in self?.noticed($0) } : nil
    try process?.start()
    let places: [Endpoint]
    do throws(SystemError) {
      places = try listen()
    } catch {
      process?.stop()
      await server.drain(until: loop.now)
      await broker?.server.drain(until: loop.now)
      throw error
    }
    listening(places)
    let connection = loop.spawn { [supervisor] in await supervisor.run() }
    rooms.start()
    if !hasEnded { _ = await ending.wait(endTicket, until: nil) }
    await finish(connection)
    process?.stop()
  }

  private func listen() throws(SystemError) -> [Endpoint] {
    var places: [Endpoint] = []
    for endpoint in options.endpoints { places.append(try server.listen(on: endpoint)) }
    if let broker, let endpoint = options.broker?.endpoint { try broker.server.listen(on: endpoint) }
    return places
  }

  private nonisolated func noticed(_ cause: ProcessWatch.Cause) {
    if case .signal(SIGHUP) = cause {
      loop.spawn { await self.reload() }
      return
    }
    assumeIsolated { $0.end() }
  }

  /// Requests without a session that are being answered, listening ones included.
  package var callCount: Int { mcp.callCount + calls.count }
  /// Sessions that are open.
  package var sessionCount: Int { mcp.sessionCount }

  /// Reads the certificate anew; where it cannot be used the old one stays.
  package func reload() async {
    guard let load = options.loadCipher else { return }
    let outcome = try? await loop.offload(named: "certificates", until: nil, load)
    switch outcome {
    case .value(.success(let maker)):
      server.cipher = maker
      Log.write(.notice, "the certificate was read anew")
    case .value(.failure(let error)):
      Log.write(.error, "the certificate cannot be used, the old one stays", [("cause", error.description)])
    default: Log.write(.error, "the certificate could not be read anew, the old one stays")
    }
  }

  /// Ends the server as a signal would.
  package func end() {
    hasEnded = true
    ending.resume(endTicket, ())
  }

  /// Short calls are answered; waiting ones, streams and sessions end, and their clients are told.
  private func finish(_ connection: Task<Void, Never>) async {
    let deadline = loop.now.advanced(by: options.drainTime)
    await mcp.settle(until: loop.now.advanced(by: Self.settling))
    var farewells = mcp.end()
    calls.end()
    console?.end()
    if let broker {
      broker.listener.end()
      await broker.server.drain(until: loop.now.advanced(by: Self.settling))
      farewells.append(loop.spawn { await broker.partners.stop() })
    }
    await server.drain(until: deadline)
    await join(farewells)
    await rooms.leave(within: Self.leaving)
    let lives = rooms.stop()
    connection.cancel()
    await join(lives + [connection])
  }

  /// Waits for tasks that end, but not for long: a backend that hangs does not keep the process.
  private func join(_ tasks: [Task<Void, Never>]) async {
    let joined = Waiters<Void>(loop: loop)
    let ticket = joined.ticket()
    let waiting = loop.spawn {
      for task in tasks { await task.value }
      joined.resume(ticket, ())
    }
    _ = await joined.wait(ticket, until: loop.now.advanced(by: .milliseconds(400)))
    waiting.cancel()
  }
}
