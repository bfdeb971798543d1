import ParleyHTTPServer
import ParleyRuntime
import Synchronization
import Testing

@testable import ParleyRemote

/// How often, and when, it is asked who sends a request.
@Suite struct AdmissionTests {
  private final class Counting: Authenticator {
    let count = Mutex(0)

    func authenticate(_ head: RequestHead) -> Authentication {
      count.withLock { $0 += 1 }
      return .known(Principal("anyone"))
    }
  }

  /// Knows everybody a moment later, but for strangers.
  private struct Slow: Authenticator {
    let loop: EventLoop

    func authenticate(_ head: RequestHead) -> Authentication {
      let token = Bearer.token(of: head)
      return .pending { [loop] reply in
        loop.spawn {
          await loop.sleep(for: .milliseconds(5))
          reply(token == "known" ? .known(Principal("known")) : .refused(Bearer.challenge(error: "invalid_token")))
        }
      }
    }
  }

  @Test func aRequestThatIsThereAsAWholeIsJudgedOnce() throws {
    let counting = Counting()
    try RemoteWorld.use({ $0.authenticator = counting }) { world async throws in
      let body = RemoteWorld.modern("tools/list")
      let fields = RemoteWorld.modernFields("tools/list")
      #expect(try await world.request("POST", "/mcp", fields, body).status == 200)
      #expect(counting.count.withLock { $0 } == 1)
      // By the time that the rest comes, the token may have been taken back.
      let client = try await world.connect()
      let lines = fields.map { "\($0.key): \($0.value)\r\n" }.joined()
      client.send(
        "POST /mcp HTTP/1.1\r\nHost: \(world.authority)\r\nContent-Type: application/json\r\n\(lines)"
          + "Content-Length: \(body.utf8.count)\r\n\r\n\(body.prefix(5))")
      await world.loop.sleep(for: .milliseconds(50))
      let before = counting.count.withLock { $0 }
      client.send(String(body.dropFirst(5)))
      #expect(try await client.response().status == 200)
      #expect(counting.count.withLock { $0 } == before + 1)
      client.stream.close()
    }
  }

  /// A stranger is refused on the head alone, also where others must be asked who it is.
  @Test func aStrangersBodyIsNeverRead() throws {
    try RemoteWorld.use(adjusting: { options, loop in options.authenticator = Slow(loop: loop) }) {
      world async throws in
      for path in ["/mcp", "/v1/messages", "/relay/post"] {
        let client = try await world.connect()
        client.send(
          "POST \(path) HTTP/1.1\r\nHost: \(world.authority)\r\nAuthorization: Bearer stranger\r\n"
            + "Content-Type: application/json\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
        let answer = try await client.response()
        #expect(answer.status == 401 && answer.fields["connection"] == "close", "\(path)")
        client.stream.close()
      }
      let known = try await world.request(
        "POST", "/v1/messages", ["Authorization": "Bearer known"], #"{"topic":"general","content":"x"}"#)
      #expect(known.status == 200, "\(known.text)")
    }
  }
}
