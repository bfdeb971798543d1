import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// What happens to servers and networks while four writers post: nothing acknowledged is lost or seen twice, and every
/// reader is live again by itself.
@Suite(.serialized) struct FaultTests {
  private func survive(
    each count: Int = 300, removes: Bool = false, reconnects: Bool = true,
    prepare: @escaping @Sendable (Arena) -> Void = { _ in }, disturb: @escaping @Sendable (Arena) async throws -> Void
  ) async throws {
    try await onLoop { loop in
      let arena = try await Arena(loop: loop)
      prepare(arena)
      try await arena.run(each: count, disturb: disturb)
      let again = await arena.reconnects()
      let verdict = try await arena.verdict()
      #expect(verdict.isClean, "\(verdict)")
      #expect(verdict.acknowledged == 4 * count, "\(verdict)")
      #expect((again > 0) == reconnects, "\(again) reconnects")
      if removes {
        #expect(verdict.removed > 0, "\(verdict)")
        #expect(verdict.gapsTold > 0, "\(verdict)")
      } else {
        #expect(verdict.gapsTold == 0, "\(verdict)")
        #expect(verdict.present == 4 * count, "\(verdict)")
      }
    }
  }

  @Test func theServerIsKilledAndStartedAnew() async throws {
    try await survive { arena in
      arena.server.process.kill()
      try await arena.server.process.start()
    }
  }

  @Test func theServerHangs() async throws {
    try await survive { arena in
      arena.server.process.pause()
      // PARLEY_SOAK: the long form, far beyond every watchdog.
      await arena.loop.sleep(for: .seconds(Environment.value("PARLEY_SOAK") == nil ? 3 : 15))
      arena.server.process.resume()
    }
  }

  @Test(arguments: [1, 37, 400, 2000]) func theConnectionIsCutInACommand(bytes: Int) async throws {
    try await survive { arena in
      for _ in 0..<3 {
        await arena.proxy.cut(after: bytes, .toServer)
        #expect(await arena.proxy.waitForCut())
        await arena.loop.sleep(for: .milliseconds(30))
      }
    }
  }

  @Test(arguments: [1, 11, 150, 1500]) func theConnectionIsCutInAReply(bytes: Int) async throws {
    try await survive { arena in
      for _ in 0..<3 {
        await arena.proxy.cut(after: bytes, .toClient)
        #expect(await arena.proxy.waitForCut())
        await arena.loop.sleep(for: .milliseconds(30))
      }
    }
  }

  @Test func everyConnectionIsCutAgainAndAgain() async throws {
    try await survive(each: 600) { arena in
      for _ in 0..<8 {
        await arena.proxy.cutAll()
        await arena.loop.sleep(for: .milliseconds(90))
      }
    }
  }

  @Test func connectionsAreHalfOpen() async throws {
    try await survive { arena in
      await arena.proxy.setFlow(.swallow)
      await arena.loop.sleep(for: .seconds(2))
      await arena.proxy.setFlow(.pass)
    }
  }

  @Test func theNetworkStalls() async throws {
    try await survive { arena in
      await arena.proxy.setFlow(.stall)
      await arena.loop.sleep(for: .seconds(2))
      await arena.proxy.setFlow(.pass)
    }
  }

  @Test func theNetworkIsSlow() async throws {
    try await survive(each: 30, reconnects: false) { arena in
      await arena.proxy.setDelay(.milliseconds(100))
      await arena.loop.sleep(for: .seconds(2))
      await arena.proxy.setDelay(.zero)
    }
  }

  @Test func anAdministratorKillsTheBlockedReaders() async throws {
    try await survive { arena in
      for _ in 0..<3 {
        let list = try await arena.server.command("CLIENT", "LIST").text ?? ""
        for line in list.split(separator: "\n") where line.contains("name=parley-reader") {
          let number = line.drop { $0 != "=" }.dropFirst().prefix { $0.isNumber }
          _ = try? await arena.server.command("CLIENT", "KILL", "ID", String(number))
        }
        await arena.loop.sleep(for: .milliseconds(60))
      }
    }
  }

  @Test func theStreamIsTrimmedUnderItsReaders() async throws {
    try await survive(removes: true) { arena in
      // Cut off first, so that the readers have not read what is trimmed.
      await arena.proxy.setWelcomeForTest(.refuse)
      await arena.proxy.cutAll()
      for number in 0..<50 {
        try await arena.server.command(
          "XADD", arena.stream, "*", "sender", "other", "content", "unseen \(number)", "ts", "", "in_reply_to", "")
      }
      try await arena.server.command("XTRIM", arena.stream, "MAXLEN", "0")
      await arena.proxy.setWelcomeForTest(.pass)
    }
  }

  @Test func theStreamIsDeletedAndMadeAnew() async throws {
    try await survive(removes: true, reconnects: false) { arena in
      try await arena.server.command("DEL", arena.stream)
    }
  }
}

extension FaultProxy {
  fileprivate func setWelcomeForTest(_ welcome: Welcome) {
    do { try setWelcome(welcome) } catch { Issue.record("\(error)") }
  }
}
