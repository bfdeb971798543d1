import Glibc
import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyNATS

/// Three servers that keep every message on all of them.
@Suite(.serialized) struct ClusterTests {
  private func cluster() async throws -> [NATSServer] {
    let routes = try (0..<3).map { _ in try FreePort() }
    let urls = routes.map { "nats-route://127.0.0.1:\($0.number)" }.joined(separator: ", ")
    var servers: [NATSServer] = []
    for route in routes {
      var options = NATSServer.Options()
      options.lines = ["cluster { name: c, listen: \"127.0.0.1:\(route.number)\", routes: [\(urls)] }"]
      servers.append(try await NATSServer.start(options))
    }
    return servers
  }

  private func options(_ servers: [NATSServer]) -> NATSOptions {
    var options = NATSOptions()
    options.servers = servers.map { "127.0.0.1:\($0.port)" }
    options.replicas = 3
    options.watchdog = .seconds(2)
    return options
  }

  /// The server that leads the topic's stream, by the cluster's own word.
  private func leader(_ servers: [NATSServer]) async throws -> Int {
    for _ in 0..<100 {
      let info = try? await OtherProgram(port: servers[0].port).ask("$JS.API.STREAM.INFO.PARLEY_general")
      let name = info?.object?["cluster"]?.object?["leader"]?.string ?? ""
      if let index = servers.firstIndex(where: { "test-\($0.port)" == name }) { return index }
    }
    throw ServerFailure("the stream has no leader")
  }

  @Test("the stream's leader is killed while posts flow: nothing is lost, nothing comes twice")
  func leaderKilled() async throws {
    let servers = try await cluster()
    let loop = try EventLoop.thread(named: "nats-cluster")
    defer { loop.stop() }
    let options = options(servers)
    let result = await loop.spawn { () async -> Result<Verdict, any Error> in
      let policy = RestartPolicy(initialDelay: .milliseconds(50), maximumDelay: .seconds(1), settledAfter: .seconds(1))
      let supervisors = (0..<3).map { _ in
        Supervisor(loop: loop, backend: NATSBackend(loop: loop, options: options), policy: policy)
      }
      let lives = supervisors.map { supervisor in loop.spawn { await supervisor.run() } }
      let outcome: Result<Verdict, any Error>
      do { outcome = .success(try await play(supervisors, servers, loop)) } catch { outcome = .failure(error) }
      for life in lives {
        life.cancel()
        await life.value
      }
      return outcome
    }.value
    let verdict = try result.get()
    #expect(verdict.isClean, "\(verdict)")
    #expect(verdict.acknowledged == 121)
  }

  private func play(
    _ supervisors: [Supervisor], _ servers: [NATSServer], _ loop: EventLoop
  ) async throws -> Verdict {
    func deadline() -> LoopInstant { loop.now.advanced(by: .seconds(40)) }
    var checker = HistoryChecker()
    let log = DeliveryLog(loop)
    let first = draft("first")
    // The first post makes the stream, which waits for the cluster's own leader.
    let post = checker.attempt(writer: "coder", key: first.key.text, content: first.content)
    var receipt: Receipt?
    let until = deadline()
    while receipt == nil, loop.now < until {
      do throws(SeamError) { receipt = try await supervisors[0].post(first, deadline: deadline()) } catch {
        await loop.sleep(for: .milliseconds(200))
      }
    }
    guard let receipt else { throw ConformanceFailure("the cluster takes no posts") }
    #expect(receipt.durability == .replicated(2))
    checker.acknowledge(post, id: receipt.id)
    _ = await supervisors[2].follow(general, after: Cursor("0"), sink: log.sink)
    let writing = ["a", "b"].enumerated().map { index, name in
      loop.spawn { () async -> [(Draft, Result<Receipt, SeamError>)] in
        var done: [(Draft, Result<Receipt, SeamError>)] = []
        for number in 0..<60 {
          let draft = draft("\(name) \(number)", by: name)
          do throws(SeamError) {
            done.append((draft, .success(try await supervisors[index].post(draft, deadline: deadline()))))
          } catch {
            done.append((draft, .failure(error)))
          }
          await loop.sleep(for: .milliseconds(5))
        }
        return done
      }
    }
    guard await log.wait(for: 30, seconds: 40) else { throw ConformanceFailure("no messages before the kill") }
    let index = try await leader(servers)
    servers[index].process.kill()
    for task in writing {
      for (draft, outcome) in await task.value {
        let post = checker.attempt(writer: draft.author.handle.name, key: draft.key.text, content: draft.content)
        switch outcome {
        case .success(let receipt): checker.acknowledge(post, id: receipt.id)
        case .failure(let error) where error.code == .outcomeUnknown: checker.leaveUnknown(post)
        case .failure: checker.fail(post)
        }
      }
    }
    guard await log.wait(for: 121, seconds: 40) else {
      throw ConformanceFailure("the follower has \(log.recorder.messages.count) of 121 messages")
    }
    try await servers[index].process.start()
    let reader = checker.addReader("follower")
    for delivery in log.recorder.deliveries { checker.deliver(delivery, to: reader) }
    checker.expectComplete(reader)
    let page = try await supervisors[1].fetch(
      FetchRequest(general, .after(Cursor("0")), limit: 1000), deadline: deadline())
    return checker.verdict(log: page.messages.map { HistoryChecker.Entry(id: $0.id, content: $0.content) })
  }
}
