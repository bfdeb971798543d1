import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// Keys: what is remembered, for how long, and what a retry finds.
@Suite struct KeyTests {
  @Test func aChosenKeyIsRememberedForItsWindowAlone() async throws {
    try await withServer { place in
      let backend = try await place.connect { $0.keyWindow = .seconds(3600) }
      let first = try await backend.post(draft("once", key: .chosen("build 7")))
      let names = try await place.server.command("KEYS", "parley:~key:*").list?.compactMap(\.text) ?? []
      #expect(names.count == 1)
      let left = try await place.server.command("PTTL", names[0]).integer ?? 0
      #expect((3_500_000...3_600_000).contains(left))
      #expect(await backend.traits.keyWindow == .atLeast(.seconds(3600)))
      // The window is over.
      try await place.server.command("DEL", names[0])
      let second = try await backend.post(draft("once", key: .chosen("build 7")))
      #expect(second.id != first.id && !second.isDuplicate)
    }
  }

  @Test func aDuplicateAnswersWithTheFirstIDAlsoWhenTheMessageIsTrimmed() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      let first = try await backend.post(draft("once", key: .chosen("k")))
      try await backend.post(draft("later"))
      try await place.server.command("XTRIM", "parley:general", "MAXLEN", "1")
      let again = try await backend.post(draft("once", key: .chosen("k")))
      #expect(again.id == first.id && again.isDuplicate)
      #expect(try await backend.fetch().messages.map(\.content) == ["later"])
      // With the whole stream its keys are forgotten: the post must not vanish.
      try await place.server.command("DEL", "parley:general")
      let anew = try await backend.post(draft("once", key: .chosen("k")))
      #expect(!anew.isDuplicate)
      #expect(try await backend.fetch().messages.map(\.content) == ["once"])
    }
  }

  @Test func generatedKeysLeaveNothingBehind() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      for number in 0..<50 { try await backend.post(draft("\(number)")) }
      let names = try await place.server.command("KEYS", "*").list?.compactMap(\.text).sorted()
      #expect(names == ["parley:general", "parley:~generation:{parley:general}:parley:general"])
    }
  }

  @Test func postsOfOneTurnLeaveTogetherAndInOrder() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      try await backend.post(draft("first"))
      let before = try await place.server.command("INFO", "stats").text ?? ""
      let answered = Answers(loop: place.loop)
      await submit((0..<200).map { draft("\($0)") }, to: backend, answered)
      #expect(await answered.wait(for: 200))
      let after = try await place.server.command("INFO", "stats").text ?? ""
      #expect(try await backend.fetch().messages.map(\.content) == ["first"] + (0..<200).map(String.init))
      // Few reads at the server: one for each 16 KiB of its buffer, not one for each post.
      let reads = number("total_reads_processed", in: after) - number("total_reads_processed", in: before)
      #expect(reads < 20, "\(reads) reads for 200 posts")
    }
  }

  private func submit(_ drafts: [Draft], to backend: isolated RedisBackend, _ answered: Answers) {
    for draft in drafts { backend.submit(draft, deadline: backend.soon) { answered.add($0) } }
  }

  private func number(_ name: String, in info: String) -> Int {
    for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix(name + ":") {
      return Int(line.dropFirst(name.count + 1)) ?? 0
    }
    return 0
  }

  @Test func aRetryWaitsForTheFirstAttemptThatIsStillUnderWay() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      try await backend.post(draft("before"))
      place.server.process.pause()
      let post = draft("slow")
      let first = await failure {
        try await backend.post(post, deadline: place.loop.now.advanced(by: .milliseconds(100)))
      }
      #expect(first?.code == .outcomeUnknown)
      let second = place.loop.spawn { await failure { try await backend.post(post) } }
      await place.loop.sleep(for: .milliseconds(100))
      place.server.process.resume()
      #expect(await second.value == nil)
      #expect(try await backend.post(post).isDuplicate)
      #expect(try await backend.fetch().messages.map(\.content) == ["before", "slow"])
    }
  }

  @Test(arguments: [true, false]) func whatAStoppedServerStillHasInItsBuffersIsNotStoredTwice(mayKill: Bool)
    async throws
  {
    var configuration = RedisServer.Options()
    configuration.users = ["ada on >a ~* &* +@all \(mayKill ? "" : "-client|kill")"]
    try await withServer(configuration) { place in
      let backend = try await place.connect("redis://ada:a@127.0.0.1:\(place.server.port)") {
        $0.timeout = .milliseconds(200)
      }
      try await backend.post(draft("before"))
      place.server.process.pause()
      let post = draft("once")
      #expect(await failure { try await backend.post(post) }?.code == .outcomeUnknown)
      // The session is lost; its command waits at the server.
      place.server.process.resume()
      try await backend.connect { _ in }
      let receipt = try await backend.post(post)
      await place.loop.sleep(for: .milliseconds(100))
      let found = try await backend.fetch().messages
      #expect(found.map(\.content) == ["before", "once"])
      #expect(found.last?.id == receipt.id)
    }
  }

  @Test func queuedPostsAreWithdrawnAtTheirDeadline() async throws {
    try await withServer { place in
      let backend = try await place.connect { $0.timeout = .seconds(30) }
      try await backend.post(draft("before"))
      place.server.process.pause()
      let answered = Answers(loop: place.loop)
      // More than the kernel's buffers and ours take: the rest stays in the list, from which it is withdrawn.
      let text = String(repeating: "x", count: 200_000)
      let drafts = (0..<100).map { draft("\($0) " + text) }
      let deadline = place.loop.now.advanced(by: .milliseconds(400))
      await submit(drafts, to: backend, until: deadline, answered)
      #expect(await answered.wait(for: 100))
      let codes = Set(answered.failures.map(\.code))
      #expect(codes == [.outcomeUnknown, .timedOut], "\(codes)")
      place.server.process.resume()
      let withdrawn = Set(answered.failures.enumerated().filter { $0.element.code == .timedOut }.map(\.offset))
      await place.loop.sleep(for: .milliseconds(300))
      var stored: Set<Int> = []
      var position = Position.after(Cursor("0-0"))
      while true {
        let page = try await backend.fetch(position)
        for message in page.messages {
          if let number = Int(message.content.prefix { $0 != " " }) { stored.insert(number) }
        }
        guard page.hasMore else { break }
        position = .after(page.next)
      }
      #expect(stored.count + withdrawn.count == 100, "\(stored.count) stored, \(withdrawn.count) withdrawn")
    }
  }

  private func submit(
    _ drafts: [Draft], to backend: isolated RedisBackend, until deadline: LoopInstant, _ answered: Answers
  ) {
    for draft in drafts { backend.submit(draft, deadline: deadline) { answered.add($0) } }
  }

  @Test func aCancelledPostIsWithdrawnOrInDoubt() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      try await backend.post(draft("before"))
      place.server.process.pause()
      let post = draft("given up")
      let task = place.loop.spawn { await failure { try await backend.post(post) } }
      await place.loop.sleep(for: .milliseconds(20))
      task.cancel()
      #expect(await task.value?.code == .outcomeUnknown)
      place.server.process.resume()
      #expect(try await backend.post(post).isDuplicate)
      #expect(try await backend.fetch().messages.map(\.content) == ["before", "given up"])
    }
  }
}

/// Answers of `submit`, in the order in which they came.
final class Answers: @unchecked Sendable {  // confined to its loop
  private(set) var results: [Result<Receipt, SeamError>] = []
  private let loop: EventLoop
  private let changed: Waiters<Void>

  init(loop: EventLoop) {
    self.loop = loop
    changed = Waiters(loop: loop)
  }

  func add(_ result: Result<Receipt, SeamError>) {
    results.append(result)
    changed.resumeAll(())
  }

  var failures: [SeamError] {
    results.compactMap { if case .failure(let error) = $0 { error } else { nil } }
  }

  func wait(for count: Int, isolation: isolated (any Actor)? = #isolation) async -> Bool {
    let deadline = loop.now.advanced(by: .seconds(10))
    while results.count < count {
      guard case .value = await changed.wait(changed.ticket(), until: deadline) else { return false }
    }
    return true
  }
}
