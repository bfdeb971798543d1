import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyRemote

/// What the door vouches for, and what it does not.
@Suite struct VouchingTests {
  private static let general = Topic("general")

  /// The contract of the seam holds through it, but for S12: what is claimed at the store is verified here.
  @Test(arguments: ConformanceSuite.cases.filter { $0.clause != "S12" }) func keepsTheContract(
    _ conformanceCase: ConformanceCase
  ) throws {
    let suite = ConformanceSuite { loop in
      let simulated = SimulatedStore(loop: loop)
      let key = ServerKey([UInt8](repeating: 5, count: 32))
      return ConformanceStore { DoorBackend(SimulatedBackend(store: simulated), key: key, metrics: DoorMetrics()) }
    }
    let loop = try EventLoop(seed: 7)
    try loop.run { () async -> Result<Void, any Error> in
      do {
        _ = try await suite.run(conformanceCase, on: loop)
        return .success(())
      } catch { return .failure(error) }
    }.get()
  }

  @Test func whatTheDoorPostedIsVerifiedThroughIt() throws {
    let loop = try EventLoop(name: "vouching", seed: 3)
    try loop.run { () async -> Result<Void, any Error> in
      do {
        let store = SimulatedStore(loop: loop)
        let plain = SimulatedBackend(store: store)
        let key = ServerKey([UInt8](repeating: 5, count: 32))
        let door = SimulatedBackend(store: store).behindDoor(key: key, metrics: DoorMetrics())
        let stranger = SimulatedBackend(store: store).behindDoor(
          key: ServerKey([UInt8](repeating: 6, count: 32)), metrics: DoorMetrics())
        let deadline = loop.now.advanced(by: .seconds(60))
        for backend in [plain, door, stranger] as [any Backend] { try await backend.connect(lost: { _ in }) }
        var number = 0
        func draft(_ content: String, by handle: String = "ada", _ attributes: Attributes = [:]) -> Draft {
          number += 1
          return Draft(
            topic: Self.general, author: Author(handle: Handle(handle), instance: handle), content: content,
            key: .generated("k\(number)"), inReplyTo: MessageID("1"), to: Handle("bob"), attributes: attributes)
        }
        let receipt = try await door.post(draft("vouched", ["a": "b"]), deadline: deadline)
        _ = try await plain.post(draft("claimed"), deadline: deadline)
        let request = FetchRequest(Self.general, .latest, limit: 100)
        let seen = try await door.fetch(request, deadline: deadline).messages
        #expect(seen.map(\.provenance) == [.verified, .claimed])
        #expect(seen[0].attributes == ["a": "b"] && seen[0].id == receipt.id)
        // Others see a claim, with the code.
        let elsewhere = try await plain.fetch(request, deadline: deadline).messages[0]
        let code = try #require(elsewhere.attributes[DoorSeal.attribute])
        #expect(elsewhere.provenance == .claimed)
        #expect(try await stranger.fetch(request, deadline: deadline).messages[0].provenance == .claimed)
        // The code of one message fits no other.
        let stolen: Attributes = ["a": "b", DoorSeal.attribute: code]
        for forged in [
          draft("other words", stolen), draft("vouched", by: "eve", stolen),
          draft("vouched", [DoorSeal.attribute: code]),
          draft("vouched", ["a": "b", "c": "d", DoorSeal.attribute: code]),
          draft("vouched", ["a": "b", DoorSeal.attribute: "x"]),
        ] { _ = try await plain.post(forged, deadline: deadline) }
        #expect(
          try await door.fetch(request, deadline: deadline).messages.dropFirst().allSatisfy {
            $0.provenance == .claimed
          })
        // Live as by fetch.
        final class Seen: @unchecked Sendable { var all: [Message] = [] }  // confined to the loop
        let live = Seen()
        let arrived = Waiters<Void>(loop: loop)
        let ticket = arrived.ticket()
        let start = try await door.fetch(request, deadline: deadline).next
        _ = try await door.subscribe(Self.general, after: start) { delivery in
          if case .message(let message) = delivery { live.all.append(message) }
          arrived.resume(ticket, ())
          return .more
        }
        let posted = draft("live")
        _ = await withCheckedContinuation { continuation in
          loop.spawn {
            await Self.submit(posted, to: door, deadline) { continuation.resume(returning: $0) }
          }
        }
        _ = await arrived.wait(ticket, until: deadline)
        let fetched = try await door.fetch(FetchRequest(Self.general, .after(start)), deadline: deadline).messages
        #expect(live.all == fetched && fetched.first?.provenance == .verified)
        return .success(())
      } catch { return .failure(error) }
    }.get()
  }

  /// Conversations over the door are as closed as without it.
  @Test func lettingInIsPassedOn() throws {
    let loop = try EventLoop(name: "vouching", seed: 3)
    try loop.run { () async -> Result<Void, any Error> in
      do {
        let closed = ClosedBackend(SimulatedStore(loop: loop))
        let supervisor = Supervisor(loop: loop, backend: closed.behindDoor(key: nil, metrics: DoorMetrics()))
        let life = loop.spawn { await supervisor.run() }
        let deadline = loop.now.advanced(by: .seconds(60))
        try await supervisor.admit([Handle("bob")], to: Topic("~dm.x"), deadline: deadline)
        #expect(await closed.admitted == [Topic("~dm.x"): [Handle("bob")]])
        life.cancel()
        await life.value
        return .success(())
      } catch { return .failure(error) }
    }.get()
  }

  private static func submit(
    _ draft: Draft, to backend: some Backend, _ deadline: LoopInstant,
    _ reply: @escaping @Sendable (Result<Receipt, SeamError>) -> Void
  ) async {
    await backend.submit(draft, deadline: deadline, reply: reply)
  }
}
