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
    let (count, window) = (count, window)
    let figures = try loop.run { await course.run(count, window: window) }.get()
    var text = figures.nanoseconds.map { "\($0)\n" }.joined()
    text += "seconds \(Double(figures.whole) / 1e9)\n"
    Output.write(text, to: STDOUT_FILENO)
  }
}

/// Two backends on one loop, as two connections of the floor are on one thread.
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
  private let changed: Waiters<Void>
  private var arrivals = 0
  private var arrivedAt = LoopInstant(nanoseconds: 0)
  private var answers = 0
  private var failure: SeamError?
  private var posts = 0

  init(loop: EventLoop, writer: any Backend, reader: any Backend, topic: Topic, author: Author) {
    self.loop = loop
    self.writer = writer
    self.reader = reader
    self.topic = topic
    self.author = author
    changed = Waiters(loop: loop)
  }

  func run(_ count: Int, window: Int) async -> Result<Figures, SeamError> {
    do throws(SeamError) {
      try await writer.connect { _ in }
      _ = try await writer.post(draft(), deadline: deadline)
      let figures = window == 1 ? try await trips(count) : try await stream(count, window: window)
      await writer.disconnect()
      await reader.disconnect()
      return .success(figures)
    } catch {
      return .failure(error)
    }
  }

  private func trips(_ count: Int) async throws(SeamError) -> Figures {
    try await reader.connect { _ in }
    let end = try await reader.fetch(FetchRequest(topic, .latest, limit: 1), deadline: deadline).next
    _ = try await reader.subscribe(topic, after: end) { [self] _ in
      let now = loop.now
      assumeIsolated { $0.arrived(now) }
      return .more
    }
    var figures = Figures()
    let warm = 200
    var begun = loop.now
    for index in 0..<(count + warm) {
      if index == warm { begun = loop.now }
      // As in the floor: the clock starts when the reader's next request has left.
      await loop.sleep(for: .microseconds(1))
      let sent = loop.now
      submit()
      while arrivals <= index || answers <= index { try await wait() }
      if index >= warm { figures.nanoseconds.append(sent.duration(to: arrivedAt).nanoseconds) }
    }
    figures.whole = begun.duration(to: loop.now).nanoseconds
    return figures
  }

  private func stream(_ count: Int, window: Int) async throws(SeamError) -> Figures {
    var figures = Figures()
    var sentAt: [LoopInstant] = []
    let begun = loop.now
    var taken = 0
    while taken < count {
      let now = loop.now
      while sentAt.count < count, sentAt.count - answers < window {
        sentAt.append(now)
        submit()
      }
      if answers == taken { try await wait() }
      let came = loop.now
      for index in taken..<answers { figures.nanoseconds.append(sentAt[index].duration(to: came).nanoseconds) }
      taken = answers
    }
    figures.whole = begun.duration(to: loop.now).nanoseconds
    return figures
  }

  private var deadline: LoopInstant { loop.now.advanced(by: .seconds(10)) }

  private func draft() -> Draft {
    posts += 1
    return Draft(topic: topic, author: author, content: content, key: .generated("\(author.instance)-\(posts)"))
  }

  private func submit() {
    let (draft, deadline) = (draft(), deadline)
    writer.assumeIsolated { writer in
      writer.submit(draft, deadline: deadline) { [self] result in assumeIsolated { $0.answered(result) } }
    }
  }

  private func arrived(_ now: LoopInstant) {
    arrivals += 1
    arrivedAt = now
    changed.resumeAll(())
  }

  private func answered(_ result: Result<Receipt, SeamError>) {
    answers += 1
    if case .failure(let error) = result { failure = error }
    changed.resumeAll(())
  }

  private func wait() async throws(SeamError) {
    let outcome = await changed.wait(changed.ticket(), until: deadline)
    if let failure { throw failure }
    guard case .value = outcome else {
      throw SeamError(.timedOut, operation: "probe", cause: "nothing came for ten seconds")
    }
  }
}
