import ParleyConformance
import ParleyRuntime

/// One randomized run of several processes over a faulty store, in virtual time. Everything follows from the seed.
struct Simulation {
  struct Report: Sendable {
    var verdict: Verdict
    /// FNV-1a over every event and its virtual time.
    var trace: UInt64
    var stalled = false
  }

  static func run(seed: UInt64, defect: SimulatedStore.Defect? = nil) throws -> Report {
    let loop = try EventLoop(seed: seed)
    do {
      return try loop.run { await Simulation.World(loop: loop, defect: defect).run() }
    } catch {
      return Report(verdict: Verdict(), trace: 0, stalled: true)
    }
  }

  /// The workload. Confined to its loop.
  private final class World: @unchecked Sendable {
    let loop: EventLoop
    let store: SimulatedStore
    let topics: [Topic]
    var checkers: [Topic: HistoryChecker] = [:]
    var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    var backends = 0

    init(loop: EventLoop, defect: SimulatedStore.Defect?) {
      self.loop = loop
      var plan = FaultPlan()
      var count = 1
      loop.random(into: &plan, topics: &count)
      store = SimulatedStore(loop: loop, plan: plan, defect: defect)
      topics = (0..<count).map { Topic("topic \($0)") }
      for topic in topics { checkers[topic] = HistoryChecker() }
    }

    func run() async -> Report {
      let processes = 2 + pick(3)
      let supervisors = (0..<processes).map { _ in
        Supervisor(
          loop: loop, backend: SimulatedBackend(store: store),
          policy: RestartPolicy(
            initialDelay: .milliseconds(5), maximumDelay: .milliseconds(200), settledAfter: .seconds(1)))
      }
      let running = supervisors.map { supervisor in loop.spawn { await supervisor.run() } }
      store.startDisturbing()
      var writing: [Task<Void, Never>] = []
      var readers: [Reader] = []
      for (index, supervisor) in supervisors.enumerated() {
        for topic in topics {
          if pick(3) > 0 {
            writing.append(loop.spawn { await self.write("w\(index)", on: topic, through: supervisor) })
          }
          if pick(3) > 0 {
            readers.append(Reader(world: self, name: "follower \(index)", topic: topic, supervisor: supervisor))
          }
          if pick(2) > 0 {
            readers.append(
              Reader(world: self, name: "fetcher \(index)", topic: topic, supervisor: supervisor, fetches: true))
          }
        }
      }
      let reading = readers.map { reader in loop.spawn { await reader.run() } }
      for task in writing { await task.value }
      store.heal()
      await settle(readers)
      for reader in readers { reader.isOver = true }
      for task in reading {
        task.cancel()
        await task.value
      }
      for task in running {
        task.cancel()
        await task.value
      }
      return judge(readers)
    }

    func pick(_ bound: Int) -> Int { Int(loop.random() % UInt64(bound)) }

    func note(_ event: String) {
      for byte in "\(loop.now.nanoseconds) \(event)".utf8 { trace = (trace ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }

    private func write(_ writer: String, on topic: Topic, through supervisor: Supervisor) async {
      let author = Author(handle: Handle(writer), instance: writer)
      for number in 0..<(3 + pick(20)) {
        let draft = Draft(
          topic: topic, author: author, content: "\(topic) \(writer) \(number)", key: .generated("\(writer) \(number)"))
        for _ in 0..<(1 + pick(3)) {
          let post = checkers[topic]!.attempt(writer: writer, key: draft.key.text, content: draft.content)
          do throws(SeamError) {
            let deadline = loop.now.advanced(by: .milliseconds(pick(8) == 0 ? pick(20) : 2_000))
            let receipt = try await supervisor.post(draft, deadline: deadline)
            note("\(writer) \(number) stored \(receipt.id)")
            checkers[topic]!.acknowledge(post, id: receipt.id)
            break
          } catch {
            note("\(writer) \(number) \(error.code.name)")
            if error.code == .outcomeUnknown {
              checkers[topic]!.leaveUnknown(post)
            } else if wasUnknown.contains(draft.key.text + topic.name) {
              // An earlier attempt may be in the log: that this one is not stored says nothing about it.
              checkers[topic]!.leaveUnknown(post)
            } else {
              checkers[topic]!.fail(post)
            }
            if error.code == .outcomeUnknown { wasUnknown.insert(draft.key.text + topic.name) }
          }
        }
        await loop.sleep(for: .microseconds(pick(30_000)))
      }
    }

    private var wasUnknown: Set<String> = []

    /// Waits, at most two virtual minutes, until every reader has seen the end of its log.
    private func settle(_ readers: [Reader]) async {
      for _ in 0..<1_200 {
        await loop.sleep(for: .milliseconds(100))
        if readers.allSatisfy({ $0.hasStarted && $0.lastID == lastID(on: $0.topic) }) { break }
      }
      // Whatever would come twice or too late has time to do so.
      await loop.sleep(for: .seconds(2))
    }

    private func lastID(on topic: Topic) -> MessageID? {
      guard let last = store.history(of: topic).last, !last.isRemoved else { return nil }
      return last.id
    }

    private func judge(_ readers: [Reader]) -> Report {
      var all = Verdict()
      for topic in topics {
        var checker = checkers[topic]!
        for reader in readers where reader.topic == topic {
          let tracked = checker.addReader("\(reader.name) of \(topic)", after: reader.startID)
          for delivery in reader.deliveries { checker.deliver(delivery, to: tracked) }
          checker.expectComplete(tracked)
        }
        all.add(checker.verdict(log: store.history(of: topic)))
      }
      return Report(verdict: all, trace: trace)
    }
  }

  /// One reader: a follower that pauses, resumes and follows anew, or a fetcher that pages and waits.
  private final class Reader: @unchecked Sendable {
    let world: World
    let name: String
    let topic: Topic
    let supervisor: Supervisor
    let fetches: Bool
    var isOver = false
    var hasStarted = false
    var startID: MessageID?
    var deliveries: [Delivery] = []
    private var cursor = Cursor("")
    private var isPaused = false
    private var loop: EventLoop { world.loop }

    init(world: World, name: String, topic: Topic, supervisor: Supervisor, fetches: Bool = false) {
      self.world = world
      self.name = name
      self.topic = topic
      self.supervisor = supervisor
      self.fetches = fetches
    }

    var lastID: MessageID? {
      for delivery in deliveries.reversed() {
        switch delivery {
        case .message(let message): return message.id
        case .gap: return nil
        }
      }
      return startID
    }

    func run() async {
      // A fresh log's own first cursor, so that a reader's past is the whole log.
      cursor = Cursor("sim.g1.0")
      hasStarted = true
      if fetches { await fetch() } else { await follow() }
    }

    private func take(_ delivery: Delivery) {
      world.note("\(name) \(topic) \(delivery.cursor)")
      deliveries.append(delivery)
      cursor = delivery.cursor
    }

    private func fetch() async {
      while !isOver, !Task.isCancelled {
        let wait: Duration? = world.pick(2) == 0 ? .milliseconds(world.pick(300)) : nil
        do throws(SeamError) {
          let page = try await supervisor.fetch(
            FetchRequest(topic, .after(cursor), limit: 1 + world.pick(8)), wait: wait,
            deadline: loop.now.advanced(by: .seconds(1)))
          if let gap = page.gap { take(.gap(gap)) }
          for message in page.messages { take(.message(message)) }
          cursor = page.next
        } catch {
          world.note("\(name) \(error.code.name)")
        }
        await loop.sleep(for: .microseconds(world.pick(20_000)))
      }
    }

    private func follow() async {
      while !isOver, !Task.isCancelled {
        isPaused = false
        let id = await supervisor.follow(topic, after: cursor) { [self] delivery in
          take(delivery)
          isPaused = world.pick(12) == 0
          return isPaused ? .pause : .more
        }
        for _ in 0..<(5 + world.pick(40)) {
          guard await loop.sleep(for: .microseconds(1_000 + world.pick(20_000))) else { break }
          if isPaused {
            isPaused = false
            await supervisor.resume(id)
          }
        }
        await supervisor.unfollow(id)
      }
    }
  }
}

extension EventLoop {
  /// Draws a plan and a number of topics. Runs on the loop.
  fileprivate func random(into plan: inout FaultPlan, topics: inout Int) {
    plan = FaultPlan.draw { random() }
    topics = 1 + Int(random() % 3)
  }
}
