import ParleyCoordination
import ParleyRuntime

/// MCP over standard input and output: one session, from start to the end of input, a signal or the parent's death.
package actor StdioServer: LoopActor {
  /// What a server is, and how its session starts.
  package struct Options: Sendable {
    /// What clients see as the server's name and version.
    package var name = "parley"
    package var version: String
    /// What is pushed; nil where live push is off.
    package var livePush: LivePush?
    /// What happens to messages that came before the start.
    package var catchUp = CatchUp()
    /// Marks to take over from another program, once, where the participant has none yet.
    package var importMarks: [Topic: Cursor]?
    /// Who is asked for leave where the session may not decide; nil for nobody. Only with live push.
    package var approvals: ApprovalOptions?
    /// How the process announces itself; nil where it does not.
    package var presence: Presence.Options?

    package init(version: String) { self.version = version }
  }

  /// Who is asked for leave, and what people are told of where that comes from.
  package struct ApprovalOptions: Sendable {
    package var rules: ApprovalRules
    package var host: String

    package init(rules: ApprovalRules, host: String) {
      self.rules = rules
      self.host = host
    }
  }

  /// Which messages are pushed.
  package struct LivePush: Sendable {
    /// Only what mentions the handle, or is directed to it.
    package var mentionFilter = false
    /// Only what these handles sent; nil for everyone.
    package var from: Set<Handle>?

    package init(mentionFilter: Bool = false, from: Set<Handle>? = nil) {
      self.mentionFilter = mentionFilter
      self.from = from
    }
  }

  /// What happens to messages that came before the start.
  package struct CatchUp: Sendable {
    /// They are counted and, with live push, pushed; otherwise the session begins now.
    package var onStart = true
    /// At most this many are pushed.
    package var limit = 100

    package init(onStart: Bool = true, limit: Int = 100) {
      self.onStart = onStart
      self.limit = limit
    }
  }

  /// What a session offers.
  package struct Offer: Sendable {
    package var tools: [any Tool]
    package var resources: (any ResourceProvider)?
    package var prompts: (any PromptProvider)?
    /// The tool sets of other systems, which each session has for itself.
    package var compat = CompatOptions()

    package init(
      tools: [any Tool], resources: (any ResourceProvider)? = nil, prompts: (any PromptProvider)? = nil
    ) {
      self.tools = tools
      self.resources = resources
      self.prompts = prompts
    }
  }

  /// Which descriptors carry the session. Tests serve pipes of their own, without watching the process.
  package struct Streams: Sendable {
    package var input: CInt = 0
    package var output: CInt = 1
    /// End on signals and with the parent.
    package var watchesProcess = true

    package init() {}

    package init(input: CInt, output: CInt) {
      self.input = input
      self.output = output
      watchesProcess = false
    }
  }

  /// After the end of input, calls that still run have this long to be answered.
  private static let settling: Duration = .milliseconds(400)
  /// What is queued for the client has this long to leave, and the backend this long to close.
  private static let closing: Duration = .milliseconds(200)

  package nonisolated let loop: EventLoop
  private let supervisor: Supervisor
  private let options: Options
  private let streams: Streams
  private let hub: Hub
  private let offer: Offer
  private let coordination: Coordination
  private var marks: ReadMarks { coordination.marks }
  private let presence: Presence?
  private let answers: TaskAnswers?
  private let compat: CompatSets
  private let approvals: Approvals?
  private let ending: Waiters<End>
  private let endTicket: UInt64
  private let calling: Waiters<Void>
  private let callTicket: UInt64
  private var end: End?

  private enum End: Sendable {
    case input
    case output
    case failure(SystemError)
    case process(ProcessWatch.Cause)
    case cancelled
  }

  /// Makes a server on the supervisor's loop; throws `badArgument` when a topic pattern does not compile.
  package init(
    hub setup: Hub.Setup, supervisor: Supervisor, offer: Offer, options: Options, streams: Streams = Streams()
  ) throws(HubError) {
    loop = supervisor.loop
    self.supervisor = supervisor
    self.offer = offer
    self.options = options
    self.streams = streams
    hub = try Hub(setup: setup, supervisor: supervisor)
    coordination = Coordination(hub: hub)
    presence = options.presence.map { [hub] in Presence(hub: hub, options: $0) }
    answers = presence.map { [hub, coordination] in TaskAnswers(hub: hub, tasks: coordination.tasks, presence: $0) }
    approvals =
      options.livePush == nil
      ? nil
      : options.approvals.map { [hub] in
        Approvals(hub: hub, rules: $0.rules, host: $0.host)
      }
    compat = CompatSets(offer.compat, hub: hub)
    ending = Waiters(loop: supervisor.loop)
    endTicket = ending.ticket()
    calling = Waiters(loop: supervisor.loop)
    callTicket = calling.ticket()
  }

  // MARK: Running

  /// Serves until the end of input, SIGINT, SIGTERM, SIGHUP or the parent's death, then ends within a second.
  ///
  /// Runs the supervisor too. Throws when descriptors 0 and 1 cannot be used.
  package func run() async throws(SystemError) {
    let wiring = try wire()
    let connection = loop.spawn { [self] in await connect() }
    let catchUp = loop.spawn { [self] in await startInbox(wiring.inbox) }
    let beating = presence.map { presence in loop.spawn { await presence.run() } }
    let keeping = loop.spawn { [compat] in await compat.run() }
    if end == nil, case .cancelled = await ending.wait(endTicket, until: nil) { end = .cancelled }
    await finish(wiring, connection: connection, others: [catchUp, beating, keeping].compactMap { $0 })
    if case .failure(let error)? = end { throw error }
  }

  /// Keeps the backend connected; where that takes a key that is not there yet, from the first call on, since many a
  /// session never has one.
  private func connect() async {
    if let issuer = supervisor.backend as? any KeyIssuer, await issuer.lacksKey() {
      guard case .value = await calling.wait(callTicket, until: nil) else { return }
    }
    await supervisor.run()
  }

  /// What `run` holds together.
  private struct Wiring {
    let session: Session
    let inbox: Inbox
    let reader: LineReader
    let writer: LineWriter
    let process: ProcessWatch?
  }

  private func wire() throws(SystemError) -> Wiring {
    let process = streams.watchesProcess ? ProcessWatch(loop: loop) { [weak self] in self?.end(.process($0)) } : nil
    let valve = Valve()
    let writer = try LineWriter(loop: loop, descriptor: streams.output) { [weak self, valve] event in
      switch event {
      case .congested: valve.close()
      case .drained: valve.open()
      case .closed: self?.end(.output)
      }
    }
    let output: @Sendable ([UInt8]) -> Void = { writer.append($0) }
    let feed = ChannelFeed(
      written: { [coordination] message in coordination.receipts.assumeIsolated { $0.notePushed(message) } },
      output: output)
    let subscriptions = ResourceSubscriptions(loop: loop, output: output)
    compat.connect(feed)
    let inbox = Inbox(hub: hub, options: inboxOptions(feed, subscriptions))
    var setup = SessionSetup(
      name: options.name, version: options.version, isChannel: options.livePush != nil || compat.pushes,
      tools: offer.tools + compat.tools, resources: offer.resources, prompts: offer.prompts, hub: hub, inbox: inbox,
      coordination: coordination)
    setup.moreInstructions = compat.instructions
    if supervisor.backend is any KeyIssuer {
      setup.called = { [calling, callTicket] in calling.resume(callTicket, ()) }
    }
    let approvals = answerableApprovals
    if let approvals { setup.asked = { request in approvals.loop.spawn { await approvals.ask(request) } } }
    let session = Session(setup: setup, subscriptions: subscriptions, opened: { feed.open() }, output: output)
    approvals?.assumeIsolated {
      $0.onVerdict { [weak session] code, approval in session?.assumeIsolated { $0.tell(approval, code: code) } }
    }
    let reader = LineReader(loop: loop, descriptor: streams.input, limit: hub.setup.limits.lineBytes) {
      [weak self] event in self?.take(event, for: session, writer)
    }
    valve.connect(reader: reader, feed: feed, subscriptions: subscriptions)
    try process?.start()
    try reader.start()
    if writer.isClosed { end(.output) }
    return Wiring(session: session, inbox: inbox, reader: reader, writer: writer, process: process)
  }

  /// Nil where nobody can be asked safely, which is said.
  private var answerableApprovals: Approvals? {
    guard let approvals, let rules = options.approvals?.rules else { return nil }
    let traits = supervisor.backend.assumeIsolated { $0.traits }
    guard let obstacle = rules.obstacle(to: hub.setup.author.handle, on: traits) else { return approvals }
    Log.write(.warning, "approvals: " + obstacle)
    return nil
  }

  private func inboxOptions(_ feed: ChannelFeed, _ subscriptions: ResourceSubscriptions) -> Inbox.Options {
    var filter = PushFilter(author: hub.setup.author)
    filter.mentionsOnly = options.livePush?.mentionFilter ?? false
    filter.senders = options.livePush?.from
    var inbox = Inbox.Options(filter: filter)
    inbox.catchesUp = options.catchUp.onStart
    inbox.catchUpLimit = options.catchUp.limit
    inbox.lost = { gap in
      Log.write(
        .warning, gap.isCertain ? "messages are lost" : "messages may be lost",
        [("topic", gap.topic.name), ("from", gap.from.text), ("to", gap.to.text), ("reason", gap.reason)])
    }
    if options.livePush != nil { inbox.push = { feed.push($0) } }
    inbox.isUrgent = options.livePush != nil
    inbox.changed = { subscriptions.changed($0) }
    if let answers {
      inbox.arrived = { message in
        if TaskAnswers.concerns(message) { answers.assumeIsolated { $0.take(message) } }
      }
    }
    return inbox
  }

  /// Marks first, since the catch-up begins at them; both wait for the backend as long as it takes.
  private func startInbox(_ inbox: Inbox) async {
    while !Task.isCancelled {
      do throws(HubError) {
        try await marks.load()
        if let found = options.importMarks { try await marks.importOnce(found) }
        break
      } catch {
        Log.write(.info, "read marks are not loaded yet", [("cause", error.description)])
        await loop.sleep(for: .seconds(1))
      }
    }
    guard !Task.isCancelled else { return }
    await marks.observe { [loop] topic, cursor in loop.spawn { await inbox.markMoved(topic, to: cursor) } }
    await marks.start()
    await inbox.start(marks: await marks.marks)
    await coordination.run()
    await coordination.conversations.attach(inbox, marks: marks)
    await resumeStatus()
  }

  /// What the handle said it was doing, here or elsewhere, unless this process was told to say something else.
  private func resumeStatus() async {
    guard let presence, options.presence?.status == nil, let status = await coordination.own.state.status else {
      return
    }
    await presence.setStatus(status)
  }

  private nonisolated func take(_ event: LineReader.Event, for session: Session, _ writer: LineWriter) {
    switch event {
    case .line(let line): session.assumeIsolated { $0.receive(line) }
    case .overlong: session.assumeIsolated { $0.receiveOverlong() }
    case .hangUpWhilePaused: watchStalled(writer)
    case .end: end(.input)
    case .failed(let error): end(.failure(error))
    }
  }

  /// The client closed its side while it does not read ours: it has a second to go on.
  private nonisolated func watchStalled(_ writer: LineWriter) {
    let before = writer.writtenBytes
    loop.schedule(after: .milliseconds(500)) { [weak self] in
      guard let self, writer.queuedBytes > 0 else { return }
      if writer.writtenBytes == before { end(.output) } else { watchStalled(writer) }
    }
  }

  private nonisolated func end(_ cause: End) { assumeIsolated { $0.noteEnd(cause) } }

  private func noteEnd(_ cause: End) {
    guard end == nil else { return }
    end = cause
    ending.resume(endTicket, cause)
  }

  /// Answers that are nearly there still go out after the end of input; signals wait for nothing but whole lines.
  private func finish(_ wiring: Wiring, connection: Task<Void, Never>, others: [Task<Void, Never>]) async {
    wiring.reader.stop()
    if case .input? = end { await wiring.session.settle(until: loop.now.advanced(by: Self.settling)) }
    await wiring.session.end()
    for task in others { task.cancel() }
    await answers?.stop()
    await approvals?.stop()
    let farewell = loop.spawn { [presence, compat, coordination] in
      // After the beat that may be under way: the goodbye is the last word.
      for task in others { await task.value }
      await compat.stop()
      await presence?.sayGoodbye(within: Self.closing)
      await coordination.tasks.stop()
    }
    let closing = loop.now.advanced(by: Self.closing)
    await wiring.writer.emptied(until: closing)
    wiring.writer.close()
    await join([farewell], until: closing)
    connection.cancel()
    await join([connection], until: loop.now.advanced(by: Self.closing))
    wiring.process?.stop()
  }

  /// Waits for tasks that were cancelled, but never past the deadline: a backend that hangs does not keep the process.
  private func join(_ tasks: [Task<Void, Never>], until deadline: LoopInstant) async {
    let joined = Waiters<Void>(loop: loop)
    let ticket = joined.ticket()
    let waiting = loop.spawn {
      for task in tasks { await task.value }
      joined.resume(ticket, ())
    }
    _ = await joined.wait(ticket, until: deadline)
    waiting.cancel()
  }
}

/// Holds back input and pushes while the client does not read. Confined to its loop.
//
// @unchecked: confined to the loop's thread.
private final class Valve: @unchecked Sendable {
  private var reader: LineReader?
  private var feed: ChannelFeed?
  private var subscriptions: ResourceSubscriptions?

  func connect(reader: LineReader, feed: ChannelFeed, subscriptions: ResourceSubscriptions) {
    self.reader = reader
    self.feed = feed
    self.subscriptions = subscriptions
  }

  func close() {
    reader?.pause()
    feed?.congested()
    subscriptions?.congested()
  }

  func open() {
    feed?.drained()
    subscriptions?.drained()
    reader?.resume()
  }
}
