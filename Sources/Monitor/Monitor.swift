import Glibc
import ParleyRuntime

/// A monitor on a terminal: draws what the feed shows, and does what is typed, until it is told to end.
package actor Monitor: LoopActor {
  /// Things that were typed and are still being done.
  private static let actions = 16
  /// The rest of a control sequence comes within so long, also over slow lines.
  private static let escapeDelay: Duration = .milliseconds(80)

  package nonisolated let loop: EventLoop
  private let feed: MonitorFeed
  private let supervisor: Supervisor
  private let options: MonitorOptions
  private let withColours: Bool
  private var state: MonitorState
  private var decoder = KeyDecoder()
  private var writer: LineWriter?
  /// What the terminal shows; nil where that is not known.
  private var shown: Screen?
  private var isDrawDue = false
  private var lastRefresh: LoopInstant?
  private var refreshing: LoopTimer?
  private var isRefreshing = false
  private var mustRefresh = false
  private var escaping: LoopTimer?
  private var running = 0
  private let ended: Waiters<HubError?>
  private let endTicket: UInt64
  private var isOver = false

  /// A monitor that does not run yet. `withColours` is false where NO_COLOR asks for none (no-color.org).
  package init(hub: Hub, feed: MonitorFeed, options: MonitorOptions, withColours: Bool) {
    loop = hub.loop
    self.feed = feed
    supervisor = hub.supervisor
    self.options = options
    self.withColours = withColours
    state = MonitorState(MonitorSnapshot(me: hub.setup.author.handle), options: options)
    ended = Waiters(loop: hub.loop)
    endTicket = ended.ticket()
  }

  // MARK: Life

  /// Runs on the terminal until somebody ends it, a signal does, or the terminal is gone; gives it back in any case.
  /// Throws what the terminal refuses; returns why the monitor could not begin.
  package func run() async throws(SystemError) -> HubError? {
    let terminal = TerminalHandle()
    let signals = ProcessWatch(
      loop: loop, watchesParent: false, resized: { [weak self] in self?.assumeIsolated { $0.draw() } },
      ended: { [weak self] _ in self?.assumeIsolated { $0.end(nil) } })
    try signals.start()
    defer { signals.stop() }
    let writer = try LineWriter(loop: loop, descriptor: STDOUT_FILENO, watermark: 0) { [weak self] event in
      self?.assumeIsolated { $0.took(event) }
    }
    self.writer = writer
    try terminal.enter()
    defer { terminal.leave() }
    let watch = try loop.watch(STDIN_FILENO, for: .read) { [weak self] _ in self?.assumeIsolated { $0.read() } }
    await supervisor.observeHealth { [weak self] _ in self?.assumeIsolated { $0.newsCame() } }
    state.notice = "connecting"
    await refresh()
    let starting = loop.spawn { await self.begin() }
    var failure: HubError?
    if case .value(let reason) = await ended.wait(endTicket, until: nil) { failure = reason }
    starting.cancel()
    for timer in [refreshing, escaping].compactMap({ $0 }) { loop.cancel(timer) }
    loop.unwatch(watch)
    await writer.emptied(until: loop.now.advanced(by: .milliseconds(200)))
    writer.close()
    await feed.stop()
    return failure
  }

  /// Starts the feed, however long the backend is away.
  private func begin() async {
    while !isOver {
      do throws(HubError) {
        try await feed.start { [weak self] in self?.assumeIsolated { $0.newsCame() } }
        break
      } catch {
        guard case .seam(let failure) = error, failure.code.isTransient else { return end(error) }
        state.notice = error.description
        draw()
      }
    }
    state.notice = nil
    await refresh()
    if let name = options.topic {
      guard let place = state.snapshot.place(named: name) else { return end(.topicNotAllowed(Topic(name))) }
      state.selected = place
    } else if options.latestTopic {
      state.selected = state.snapshot.latest
    } else if state.snapshot.places.count == 1 {
      state.selected = state.snapshot.places[0].place
    }
    await refresh()
  }

  private func end(_ reason: HubError?) {
    guard !isOver else { return }
    isOver = true
    ended.resume(endTicket, reason)
  }

  // MARK: Drawing

  /// Something changed: drawn at once, or when the last picture of news is as old as the interval.
  private func newsCame() {
    guard !isOver, refreshing == nil else { return }
    let wait = lastRefresh.map { loop.now.duration(to: $0.advanced(by: options.interval)) } ?? .zero
    refreshing = loop.schedule(after: max(wait, .zero)) { [weak self] in
      guard let self else { return }
      self.loop.spawn { await self.refreshNow() }
    }
  }

  private func refreshNow() async {
    refreshing = nil
    await refresh()
  }

  private func refresh() async {
    guard !isRefreshing else { return mustRefresh = true }
    isRefreshing = true
    repeat {
      mustRefresh = false
      state.snapshot = await feed.snapshot(of: state.selected)
      lastRefresh = loop.now
      draw()
    } while mustRefresh && !isOver
    isRefreshing = false
  }

  /// Writes what changed; while the terminal has not taken the last picture, waits for that.
  private func draw() {
    guard !isOver, let writer else { return }
    guard writer.queuedBytes == 0 else { return isDrawDue = true }
    isDrawDue = false
    let (rows, columns) = TerminalHandle.size ?? (24, 80)
    let screen = MonitorView.render(state, rows: rows, columns: columns)
    writer.append(raw: ScreenDiff.bytes(from: shown, to: screen, withColours: withColours))
    shown = screen
  }

  private func took(_ event: LineWriter.Event) {
    switch event {
    case .congested: break
    case .drained: if isDrawDue { draw() }
    case .closed: end(nil)
    }
  }

  // MARK: Keys

  private func read() {
    guard let bytes = TerminalHandle.read() else { return end(nil) }
    if let escaping { loop.cancel(escaping) }
    escaping = nil
    take(decoder.feed(bytes))
    guard decoder.isWaiting else { return }
    escaping = loop.schedule(after: Self.escapeDelay) { [weak self] in
      self?.assumeIsolated { monitor in monitor.take(monitor.decoder.flush()) }
    }
  }

  private func take(_ keys: [Key]) {
    guard !keys.isEmpty else { return }
    for key in keys where !isOver { take(key) }
    draw()
  }

  private func take(_ key: Key) {
    switch key {
    case .control("c"), .control("q"): end(nil)
    case .control("d") where state.editor.isEmpty: end(nil)
    case .control("d"): _ = state.editor.take(.delete)
    case .text("q") where state.isReadOnly && state.editor.isEmpty: end(nil)
    case .control("l"): shown = nil
    case .control("r"): submit(.markRead)
    case .tab: select(step: 1)
    case .backTab: select(step: -1)
    case .up: scroll(by: 1)
    case .down: scroll(by: -1)
    case .pageUp: scroll(by: (TerminalHandle.size?.rows ?? 24) / 2)
    case .pageDown: scroll(by: -(TerminalHandle.size?.rows ?? 24) / 2)
    case .escape: escape()
    case .enter: enter()
    default: _ = state.editor.take(key)
    }
  }

  private func select(step: Int) {
    state.select(step: step)
    state.notice = nil
    loop.spawn { await self.refresh() }
  }

  private func scroll(by lines: Int) {
    let most = max(0, MonitorView.lineCount(state, columns: TerminalHandle.size?.columns ?? 80) - 1)
    state.scroll = min(max(state.scroll + lines, 0), most)
  }

  private func escape() {
    if state.showsHelp {
      state.showsHelp = false
    } else if state.scroll > 0 {
      state.scroll = 0
    } else {
      state.editor.clear()
    }
    state.notice = nil
  }

  // MARK: Commands

  private func enter() {
    let line = state.editor.text
    guard line.contains(where: { !$0.isWhitespace }) else { return }
    switch MonitorInput.parse(line) {
    case .failure(let problem): state.notice = problem.text
    case .success(let input):
      guard !input.writes || submit(input, line: line) else { return }
      state.editor.clear()
      if !input.writes { show(input) }
    }
  }

  private func show(_ input: MonitorInput) {
    state.notice = nil
    state.scroll = 0
    switch input {
    case .quit: end(nil)
    case .help: state.showsHelp = true
    case .unread: state.unreadOnly.toggle()
    case .status(let status): state.status = status
    case .sender(let handle): state.sender = handle
    case .topic(let name):
      guard let name else {
        state.selected = nil
        break
      }
      guard let place = state.snapshot.place(named: name) else { return state.notice = "there is no one topic \(name)" }
      state.selected = place
    default: break
    }
    loop.spawn { await self.refresh() }
  }

  /// Begins to do something that others see; false where it may not be done.
  @discardableResult
  private func submit(_ input: MonitorInput, line: String = "") -> Bool {
    guard !state.isReadOnly else {
      state.notice = "read-only: nothing is posted"
      return false
    }
    guard running < Self.actions else {
      state.notice = "wait: \(running) are on their way"
      return false
    }
    running += 1
    state.notice = nil
    let place = state.selected
    loop.spawn { await self.perform(input, at: place, line: line) }
    return true
  }

  private func perform(_ input: MonitorInput, at place: MonitorPlace?, line: String) async {
    defer { running -= 1 }
    do throws(HubError) {
      let notice = try await feed.perform(input, at: place)
      state.notice = notice.isEmpty ? nil : notice
    } catch {
      state.notice = error.description
      // What was refused can be mended, unless something else is being typed by now.
      if state.editor.isEmpty { state.editor.insert(line) }
    }
    await refresh()
  }
}
