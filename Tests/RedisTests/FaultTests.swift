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
    disturb: @escaping @Sendable (Scene) async throws -> Void
  ) async throws {
    try await onLoop { loop in
      let scene = try await Scene(loop: loop)
      let after: Result<Arena.Aftermath, any Error>
      do { after = .success(try await scene.arena().run(each: count) { try await disturb(scene) }) } catch {
        after = .failure(error)
      }
      await scene.end()
      let (verdict, again) = (try after.get().verdict, try after.get().reconnects)
      #expect(try after.get().failures.isEmpty)
      #expect(verdict.isClean, "\(verdict)")
      // With those after the disturbance and at the end.
      #expect(verdict.acknowledged == 4 * count + 2, "\(verdict)")
      #expect((again > 0) == reconnects, "\(again) reconnects")
      if removes {
        #expect(verdict.removed > 0, "\(verdict)")
        #expect(verdict.gapsTold > 0, "\(verdict)")
      } else {
        #expect(verdict.gapsTold == 0, "\(verdict)")
        #expect(verdict.present == 4 * count + 2, "\(verdict)")
      }
    }
  }

  @Test func theServerIsKilledAndStartedAnew() async throws {
    try await survive { scene in
      scene.server.process.kill()
      try await scene.server.process.start()
    }
  }

  @Test func theServerHangs() async throws {
    try await survive { scene in
      scene.server.process.pause()
      // PARLEY_SOAK: the long form, far beyond every watchdog.
      await scene.loop.sleep(for: .seconds(Environment.value("PARLEY_SOAK") == nil ? 3 : 15))
      scene.server.process.resume()
    }
  }

  @Test(arguments: [1, 37, 400, 2000]) func theConnectionIsCutInACommand(bytes: Int) async throws {
    try await survive { scene in
      for _ in 0..<3 {
        await scene.proxy.cut(after: bytes, .toServer)
        #expect(await scene.proxy.waitForCut())
        await scene.loop.sleep(for: .milliseconds(30))
      }
    }
  }

  @Test(arguments: [1, 11, 150, 1500]) func theConnectionIsCutInAReply(bytes: Int) async throws {
    try await survive { scene in
      for _ in 0..<3 {
        await scene.proxy.cut(after: bytes, .toClient)
        #expect(await scene.proxy.waitForCut())
        await scene.loop.sleep(for: .milliseconds(30))
      }
    }
  }

  @Test func everyConnectionIsCutAgainAndAgain() async throws {
    try await survive(each: 600) { scene in
      for _ in 0..<8 {
        await scene.proxy.cutAll()
        await scene.loop.sleep(for: .milliseconds(90))
      }
    }
  }

  @Test func connectionsAreHalfOpen() async throws {
    try await survive { scene in
      await scene.proxy.setFlow(.swallow)
      await scene.loop.sleep(for: .seconds(2))
      await scene.proxy.setFlow(.pass)
    }
  }

  @Test func theNetworkStalls() async throws {
    try await survive { scene in
      await scene.proxy.setFlow(.stall)
      await scene.loop.sleep(for: .seconds(2))
      await scene.proxy.setFlow(.pass)
    }
  }

  @Test func theNetworkIsSlow() async throws {
    try await survive(each: 30, reconnects: false) { scene in
      await scene.proxy.setDelay(.milliseconds(100))
      await scene.loop.sleep(for: .seconds(2))
      await scene.proxy.setDelay(.zero)
    }
  }

  @Test func anAdministratorKillsTheBlockedReaders() async throws {
    try await survive { scene in
      for _ in 0..<3 {
        let list = try await scene.server.command("CLIENT", "LIST").text ?? ""
        for line in list.split(separator: "\n") where line.contains("name=parley-reader") {
          let number = line.drop { $0 != "=" }.dropFirst().prefix { $0.isNumber }
          _ = try? await scene.server.command("CLIENT", "KILL", "ID", String(number))
        }
        await scene.loop.sleep(for: .milliseconds(60))
      }
    }
  }

  @Test func theStreamIsTrimmedUnderItsReaders() async throws {
    try await survive(removes: true) { scene in
      // Cut off first, so that the readers have not read what is trimmed.
      await scene.proxy.setWelcomeForTest(.refuse)
      await scene.proxy.cutAll()
      for number in 0..<50 {
        try await scene.server.command(
          "XADD", scene.stream, "*", "sender", "other", "content", "unseen \(number)", "ts", "", "in_reply_to", "")
      }
      try await scene.server.command("XTRIM", scene.stream, "MAXLEN", "0")
      await scene.proxy.setWelcomeForTest(.pass)
    }
  }

  @Test func theStreamIsDeletedAndMadeAnew() async throws {
    try await survive(removes: true, reconnects: false) { scene in
      try await scene.server.command("DEL", scene.stream)
    }
  }
}

extension FaultProxy {
  fileprivate func setWelcomeForTest(_ welcome: Welcome) {
    do { try setWelcome(welcome) } catch { Issue.record("\(error)") }
  }
}
