import ArgumentParser
import Glibc
import ParleyConfiguration
import ParleyRuntime

/// `parley probe`: what the backend costs without MCP, for `parley bench`; not shown in help, its output may change.
struct ProbeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe", abstract: "Measure the backend's own post and push; for 'parley bench'.",
    shouldDisplay: false)

  @OptionGroup var shared: SharedOptions

  @Argument(help: "The topic to post to.")
  var topic: String

  @Option(help: "How many posts are measured.")
  var count = 5000

  @Option(help: "How many posts are unanswered at a time; with 1, each is awaited at another connection's sink.")
  var window = 1

  @Flag(help: "Await the answer alone with --window 1 too.")
  var answers = false

  func validate() throws {
    guard count > 0, window > 0 else { throw ValidationError("--count and --window must be positive.") }
  }

  func run() throws {
    let configuration = try Launch.load(shared).configuration
    let loop = try EventLoop(name: "probe")
    let course = ProbeCourse(
      loop: loop, writer: try Launch.makeBackend(configuration, on: loop),
      reader: try Launch.makeBackend(configuration, on: loop), topic: Topic(topic),
      author: try Launch.author(of: configuration))
    let (count, window, follows) = (count, window, window == 1 && !answers)
    let figures = try loop.run { await course.run(count, window: window, follows: follows) }.get()
    var text = figures.nanoseconds.map { "\($0)\n" }.joined()
    text += "seconds \(Double(figures.whole) / 1e9)\n"
    Output.write(text, to: STDOUT_FILENO)
  }
}

/// Two backends on one loop, as two connections of the floor are on one thread.
///
/// What comes in starts what goes out, without a task in between: the floor has none either.
actor ProbeCourse: LoopActor {
  struct Figures: Sendable {
    var nanoseconds: [Int64] = []
    var whole: Int64 = 0
  }

  nonisolated let loop: EventLoop
  private let writer: any Backend
  private let reader: any Backend
  private let topic: Topic
  private let author: Author
  private let content = String(repeating: "x", count: 200)
  /// What keys begin with.
  private let stem: String
  private let outcome: Waiters<SeamError?>
  private var outcomeTicket: UInt64 = 0
  private var figures = Figures()
  private var begun = LoopInstant(nanoseconds: 0)
  private var posts = 0
  /// Posts that are measured or answered so far, and how many there will be.
  private var answers = 0
  private var count = 0

  /// One post at a time: when it was sent, when it arrived, and what of it is still to come.
  private var trip = (sent: LoopInstant(nanoseconds: 0), arrived: LoopInstant(nanoseconds: 0), open: 0)
  /// Trips that only warm both sides up.
  private static let warm = 200

  /// Many at a time: when each was sent.
  private var window = 1
  private var sentAt: [LoopInstant] = []
  private var isRefillDue = false

  init(loop: EventLoop, writer: any Backend, reader: any Backend, topic: Topic, author: Author) {
    self.loop = loop
    self.writer = writer
    self.reader = reader
    self.topic = topic
    self.author = author
    stem = author.instance + "-"
    outcome = Waiters(loop: loop)
  }

  func run(_ count: Int, window: Int, follows: Bool) async -> Result<Figures, SeamError> {
    (self.count, self.window) = (count, window)
    do throws(SeamError) {
      try await writer.connect { _ in }
      _ = try await writer.post(draft(), deadline: deadline)
      if follows { try await follow() }
      outcomeTicket = outcome.ticket()
      begun = loop.now
      if follows { post() } else { refill() }
      // A probe that hangs is its caller's to end.
      if case .value(let error?) = await outcome.wait(outcomeTicket, until: nil) { throw error }
      figures.whole = begun.duration(to: loop.now).nanoseconds
      await writer.disconnect()
      await reader.disconnect()
      return .success(figures)
    } catch {
      return .failure(error)
    }
  }

  private func follow() async throws(SeamError) {
    try await reader.connect { _ in }
    let end = try await reader.fetch(FetchRequest(topic, .latest, limit: 1), deadline: deadline).next
    _ = try await reader.subscribe(topic, after: end) { [self] _ in
      let now = loop.now
      assumeIsolated { $0.arrived(now) }
      return .more
    }
  }

  // MARK: One at a time

  private func post() {
    if answers == Self.warm { begun = loop.now }
    trip.open = 2
    trip.sent = loop.now
    submit { [self] in assumeIsolated { $0.step() } }
  }

  private func arrived(_ now: LoopInstant) {
    trip.arrived = now
    step()
  }

  /// The message is there, or the answer; with both, the next is sent when the reader's next request has left, as the
  /// floor does it.
  private func step() {
    trip.open -= 1
    guard trip.open == 0 else { return }
    if answers >= Self.warm { figures.nanoseconds.append(trip.sent.duration(to: trip.arrived).nanoseconds) }
    answers += 1
    guard answers < count + Self.warm else { return outcome.resume(outcomeTicket, nil) }
    loop.schedule(after: .microseconds(1)) { [self] in assumeIsolated { $0.post() } }
  }

  // MARK: Many at a time

  /// Sends what may be unanswered; what one read of the answers frees leaves in one write.
  private func refill() {
    isRefillDue = false
    let now = loop.now
    while sentAt.count < count, sentAt.count - answers < window {
      sentAt.append(now)
      submit { [self] in assumeIsolated { $0.answered() } }
    }
  }

  private func answered() {
    figures.nanoseconds.append(sentAt[answers].duration(to: loop.now).nanoseconds)
    answers += 1
    guard answers < count else { return outcome.resume(outcomeTicket, nil) }
    guard !isRefillDue else { return }
    isRefillDue = true
    loop.execute { [self] in assumeIsolated { $0.refill() } }
  }

  // MARK: Posting

  private var deadline: LoopInstant { loop.now.advanced(by: .seconds(10)) }

  private func draft() -> Draft {
    posts += 1
    return Draft(topic: topic, author: author, content: content, key: .generated(String(stem, decimal: Int64(posts))))
  }

  private func submit(_ done: @escaping @Sendable () -> Void) {
    let (draft, deadline) = (draft(), deadline)
    writer.assumeIsolated { writer in
      writer.submit(draft, deadline: deadline) { [self] result in
        guard case .failure(let error) = result else { return done() }
        assumeIsolated { $0.outcome.resume($0.outcomeTicket, error) }
      }
    }
  }
}
