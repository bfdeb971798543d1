import CLinux
import Glibc
import ParleyRuntime

/// A TCP proxy on 127.0.0.1 that does to connections what networks do. It runs on a thread of its own.
///
/// Without faults it passes everything. Faults may be changed at any time and also meet the connections there are;
/// call `close` at the end.
public actor FaultProxy: LoopActor {
  /// A direction through the proxy.
  public enum Direction: Hashable, Sendable, CaseIterable {
    /// What clients send.
    case toServer
    /// What the server sends.
    case toClient
  }

  /// What happens to bytes.
  public enum Flow: Hashable, Sendable {
    /// They pass, after `delay`.
    case pass
    /// They are taken and lost, as on a half-open connection: both sides may send, and neither hears anything.
    case swallow
    /// They are not taken: what the kernel holds fills up, and sending stops.
    case stall
  }

  /// What happens to those who connect.
  public enum Welcome: Hashable, Sendable {
    /// They are connected to the server.
    case pass
    /// Nobody listens: connection refused.
    case refuse
    /// They are connected, to nothing: they hear nothing, not even the end.
    case silence
    /// Their packets are lost: connecting takes until they give up, or until this ends and the kernel asks again.
    case blackHole
  }

  public nonisolated let loop: EventLoop
  /// Where clients connect.
  public nonisolated let port: Int
  /// What happens to bytes, in both directions.
  public private(set) var flow = Flow.pass { didSet { for link in links.values { link.apply(flow, delay) } } }
  /// How long each way takes, on top of the network's own time.
  public private(set) var delay = Duration.zero { didSet { for link in links.values { link.apply(flow, delay) } } }
  /// What happens to those who connect.
  public private(set) var welcome = Welcome.pass
  /// Connections accepted so far.
  public private(set) var accepted = 0
  /// The place where the next connection to reach it is cut.
  private var cutPlace: (direction: Direction, bytesLeft: Int)?
  private var target: Int
  private var listener: CInt = -1
  private var watch: Watch?
  private var links: [Int: ProxyLink] = [:]
  /// Connections of our own that fill the listener's queue, so that the kernel drops those of others.
  private var fillers: [CInt] = []
  private let cuts: Waiters<Void>
  private let reservation: FreePort

  private static let thread = Result { () throws(SystemError) in try EventLoop.thread(named: "fault proxies") }

  /// Starts a proxy before a port of 127.0.0.1.
  public static func start(to target: Int) async throws -> FaultProxy {
    let proxy = FaultProxy(loop: try thread.get(), port: try FreePort(), target: target)
    try await proxy.listen(backlog: 128)
    return proxy
  }

  private init(loop: EventLoop, port: FreePort, target: Int) {
    self.loop = loop
    self.target = target
    reservation = port
    self.port = port.number
    cuts = Waiters(loop: loop)
  }

  /// Connections that pass through now.
  public var connections: Int { links.count }

  // MARK: Faults

  /// Changes what happens to bytes.
  public func setFlow(_ flow: Flow) { self.flow = flow }

  /// Changes how long each way takes.
  public func setDelay(_ delay: Duration) { self.delay = delay }

  /// Sends those who connect from now on elsewhere, for example to the server that took over.
  public func setTarget(_ port: Int) { target = port }

  /// Changes what happens to those who connect.
  public func setWelcome(_ welcome: Welcome) throws(SystemError) {
    stopListening()
    self.welcome = welcome
    switch welcome {
    case .refuse: break
    case .pass, .silence: try listen(backlog: 128)
    case .blackHole:
      try listen(backlog: 0)
      // A queue of length 0 takes one connection (listen(2) on Linux); the second filler is for what counts otherwise.
      for _ in 0..<2 { fillers.append(try LocalSocket.connect(port: port, patience: nil)) }
    }
  }

  /// Cuts every connection there is with a reset (RST).
  public func cutAll() {
    for link in links.values { link.cut() }
    links = [:]
  }

  /// Cuts the connection that carries the byte after the next `bytes` in a direction, having passed those before it.
  ///
  /// The bytes of all connections are counted; with 0 the next byte cuts. `waitForCut` tells when it has happened.
  public func cut(after bytes: Int, _ direction: Direction) { cutPlace = (direction, bytes) }

  /// Waits until the cut that `cut(after:_:)` asked for has happened; false when it has not by then.
  public func waitForCut(within patience: Duration = .seconds(10)) async -> Bool {
    guard cutPlace != nil else { return true }
    if case .value = await cuts.wait(cuts.ticket(), until: loop.now.advanced(by: patience)) { return true }
    return false
  }

  /// Ends the proxy and every connection.
  public func close() {
    stopListening()
    cutAll()
  }

  // MARK: Connections

  private func listen(backlog: CInt) throws(SystemError) {
    listener = try LocalSocket.listen(port: port, backlog: backlog)
    guard backlog > 0 else { return }
    watch = try loop.watch(listener, for: .read) { [weak self] _ in self?.assumeIsolated { $0.accept() } }
  }

  private func stopListening() {
    if let watch { loop.unwatch(watch) }
    watch = nil
    if listener >= 0 { LocalSocket.close(listener: listener) }
    listener = -1
    for filler in fillers { Glibc.close(filler) }
    fillers = []
  }

  private func accept() {
    let client = parley_accept(listener)
    guard client >= 0 else { return }
    accepted += 1
    let id = accepted
    let server = welcome == .silence ? -1 : (try? LocalSocket.connect(port: target, patience: nil)) ?? -1
    guard server >= 0 || welcome == .silence else {
      ProxyLink.reset(client)
      return
    }
    let link = ProxyLink(
      loop: loop, client: client, server: server,
      admit: { [weak self] direction, count in self?.assumeIsolated { $0.admit(count, direction) } ?? count },
      ended: { [weak self] in self?.assumeIsolated { _ = $0.links.removeValue(forKey: id) } })
    links[id] = link
    link.apply(flow, delay)
  }

  /// How many of the next bytes in a direction may pass before the cut that was asked for; all without one.
  private func admit(_ count: Int, _ direction: Direction) -> Int {
    guard let place = cutPlace, place.direction == direction else { return count }
    guard count > place.bytesLeft else {
      cutPlace?.bytesLeft -= count
      return count
    }
    cutPlace = nil
    cuts.resumeAll(())
    return place.bytesLeft
  }
}
