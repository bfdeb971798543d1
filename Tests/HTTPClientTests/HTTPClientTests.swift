import ParleyHTTPClient
import ParleyRuntime
import ParleyTestKit
import Testing

@Suite struct HTTPClientTests {
  /// Runs a test on a loop with a client and a server of its own.
  private func world(
    certificates: TestCertificates? = nil, options: HTTPClientOptions = HTTPClientOptions(),
    _ body: @escaping @Sendable (HTTPClient, PythonServer) async throws -> Void
  ) async throws {
    let loop = try EventLoop.thread(named: "http")
    defer { loop.stop() }
    let result: Result<Void, any Error> = await loop.spawn {
      do {
        let server = try await PythonServer(loop: loop, certificates: certificates)
        let client = HTTPClient(loop: loop, options: options)
        try await body(client, server)
        await client.close()
        return .success(())
      } catch { return .failure(error) }
    }.value
    try result.get()
  }

  private func get(_ client: HTTPClient, _ url: String, within: Duration = .seconds(10)) async throws -> HTTPResponse {
    try await client.send(HTTPRequest(.get, url), deadline: client.loop.now.advanced(by: within))
  }

  private func expectStatus(_ status: Int, _ client: HTTPClient, _ url: String) async throws {
    let answer = try await get(client, url)
    #expect(answer.status == status)
  }

  @Test(arguments: [HTTPRequest.Method.get, .post, .put, .delete])
  func sendsMethodHeadersAndBody(_ method: HTTPRequest.Method) async throws {
    try await world { client, server in
      let body: [UInt8]? = method == .get ? nil : Array("{\"a\": \"ä\0b\"}".utf8)
      let request = HTTPRequest(
        method, server.url("/echo?q=%20x"), headers: [.init("X-Test", "yes"), .init("X-Empty", "")], body: body)
      let answer = try await client.send(request, deadline: client.loop.now.advanced(by: .seconds(10)))
      #expect(answer.status == 200 && !answer.isHTTP2)
      #expect(answer.header("content-type") == "application/json")
      let echo = try JSONValue(parsing: answer.body)
      #expect(echo["method"]?.string == method.rawValue)
      #expect(echo["path"]?.string == "/echo?q=%20x")
      #expect(echo["headers"]?["x-test"]?.string == "yes")
      #expect(echo["headers"]?["x-empty"]?.string == "")
      #expect(echo["headers"]?["expect"] == nil)
      #expect(echo["body"]?.string == body.map { String(decoding: $0, as: UTF8.self) } ?? "")
    }
  }

  /// A URL that a stranger chose must not reach what only this machine reaches, whatever its name says.
  @Test func connectsToPublicAddressesAloneWhereThatIsAsked() async throws {
    var options = HTTPClientOptions()
    options.onlyPublic = true
    options.connectTimeout = .seconds(5)
    try await world(options: options) { client, server in
      let port = server.url("/").split(separator: ":").last.map { $0.prefix { $0 != "/" } } ?? ""
      for host in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "127.1", "2130706433"] {
        await #expect(throws: HTTPFailure.self, "\(host)") {
          do {
            _ = try await get(client, "http://\(host):\(port)/echo")
          } catch let failure as HTTPFailure {
            #expect(failure.code == .unreachable && !failure.mayHaveArrived, "\(host): \(failure)")
            throw failure
          }
        }
      }
    }
    // The server was there: a client that may reach it does.
    try await world { client, server in try await expectStatus(200, client, server.url("/echo")) }
  }

  @Test func anyStatusIsAnAnswer() async throws {
    try await world { client, server in
      for status in [204, 302, 404, 429, 500] {
        let answer = try await get(client, server.url("/status/\(status)"))
        #expect(answer.status == status)
      }
    }
  }

  @Test func connectionsAreReused() async throws {
    try await world { client, server in
      var connections: Set<Int64> = []
      for _ in 0..<50 {
        connections.insert(try JSONValue(parsing: try await get(client, server.url("/connection")).body).int ?? -1)
      }
      #expect(connections.count == 1)
    }
  }

  @Test func manyRequestsAtOnce() async throws {
    try await world { client, server in
      let url = server.url("/delay/50")
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<40 { group.addTask { try await get(client, url).status } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(statuses == Array(repeating: 200, count: 40))
    }
  }

  @Test func aLargeAnswerIsBounded() async throws {
    try await world { client, server in
      let whole = try await get(client, server.url("/big/3000000"))
      #expect(whole.body.count == 3_000_000)
      var request = HTTPRequest(.get, server.url("/big/3000000"))
      request.responseLimit = 1_000_000
      await expect(.responseTooLarge, arrived: true) { [request] in
        _ = try await client.send(request, deadline: client.loop.now.advanced(by: .seconds(10)))
      }
      let after = try await get(client, server.url("/status/200"))
      #expect(after.status == 200)
    }
  }

  @Test func aCompressedAnswerIsBoundedByWhatItHolds() async throws {
    try await world { client, server in
      let whole = try await get(client, server.url("/gzip/2000000"))
      #expect(whole.body.count == 2_000_000)
      var request = HTTPRequest(.get, server.url("/gzip/20000000"))
      request.responseLimit = 1 << 20
      await expect(.responseTooLarge, arrived: true) { [request] in
        _ = try await client.send(request, deadline: client.loop.now.advanced(by: .seconds(10)))
      }
    }
  }

  @Test func theDeadlineEndsARequest() async throws {
    try await world { client, server in
      let began = client.loop.now
      await expect(.timedOut, arrived: true) {
        _ = try await get(client, server.url("/delay/60000"), within: .milliseconds(300))
      }
      #expect(began.duration(to: client.loop.now) < .seconds(5))
      await expect(.timedOut, arrived: false) {
        _ = try await get(client, server.url("/status/200"), within: .milliseconds(-1))
      }
      try await expectStatus(200, client, server.url("/status/200"))
    }
  }

  @Test func cancellationEndsARequest() async throws {
    try await world { client, server in
      let url = server.url("/delay/60000")
      let began = client.loop.now
      let task = client.loop.spawn { () -> HTTPFailure? in
        do throws(HTTPFailure) {
          _ = try await client.send(HTTPRequest(.get, url), deadline: client.loop.now.advanced(by: .seconds(50)))
          return nil
        } catch { return error }
      }
      await client.loop.sleep(for: .milliseconds(100))
      task.cancel()
      #expect(await task.value?.code == .cancelled)
      #expect(began.duration(to: client.loop.now) < .seconds(5))
    }
  }

  @Test func closingEndsRequests() async throws {
    try await world { client, server in
      let url = server.url("/delay/60000")
      let task = client.loop.spawn { () -> HTTPFailure? in
        do throws(HTTPFailure) {
          _ = try await client.send(HTTPRequest(.get, url), deadline: client.loop.now.advanced(by: .seconds(50)))
          return nil
        } catch { return error }
      }
      await client.loop.sleep(for: .milliseconds(100))
      await client.close()
      #expect(await task.value?.code == .closed)
    }
  }

  @Test func whatDidNotArriveIsToldFromWhatMayHave() async throws {
    try await world { client, server in
      let port = try FreePort()
      await expect(.unreachable, arrived: false) {
        _ = try await get(client, "http://127.0.0.1:\(port.number)/")
      }
      await expect(.unreachable, arrived: false) { _ = try await get(client, "http://name.invalid/") }
      await expect(.interrupted, arrived: true) { _ = try await get(client, server.url("/cut")) }
      await expect(.interrupted, arrived: true) { _ = try await get(client, server.url("/cut-in-body")) }
    }
  }

  @Test(arguments: ["ftp://127.0.0.1/", "file:///etc/hostname", "nonsense", "http://a\nb/", "http://[::1/"])
  func badURLsAreRefused(_ url: String) async throws {
    try await world { client, _ in
      await expect(.invalidRequest, arrived: false) { _ = try await get(client, url) }
    }
  }

  @Test func headerInjectionIsRefused() async throws {
    try await world { client, server in
      let request = HTTPRequest(.get, server.url("/echo"), headers: [.init("X", "a\r\nY: b")])
      await expect(.invalidRequest, arrived: false) {
        _ = try await client.send(request, deadline: client.loop.now.advanced(by: .seconds(5)))
      }
    }
  }

  @Test func certificatesAreVerified() async throws {
    let certificates = try await TestCertificates.make()
    try await world(
      certificates: certificates, options: HTTPClientOptions(certificateAuthorities: certificates.authority)
    ) { client, server in
      try await expectStatus(200, client, server.url("/status/200"))
    }
    try await world(certificates: certificates) { client, server in
      await expect(.untrusted, arrived: false) { _ = try await get(client, server.url("/status/200")) }
    }
    try await world(
      certificates: certificates, options: HTTPClientOptions(certificateAuthorities: certificates.wrongAuthority)
    ) { client, server in
      await expect(.untrusted, arrived: false) { _ = try await get(client, server.url("/status/200")) }
    }
  }

  @Test func aKeptConnectionThatTheServerClosedIsReplaced() async throws {
    try await world { client, server in
      for _ in 0..<5 {
        try await expectStatus(200, client, server.url("/close-after"))
        try await expectStatus(200, client, server.url("/status/200"))
      }
    }
  }
}

/// Expects a failure of this kind.
private func expect(
  _ code: HTTPFailure.Code, arrived: Bool, at location: SourceLocation = #_sourceLocation,
  isolation: isolated (any Actor)? = #isolation, _ operation: () async throws -> Void
) async {
  do {
    try await operation()
    Issue.record("no failure, expected \(code)", sourceLocation: location)
  } catch let failure as HTTPFailure {
    #expect(failure.code == code, "\(failure)", sourceLocation: location)
    #expect(failure.mayHaveArrived == arrived, "\(failure)", sourceLocation: location)
  } catch {
    Issue.record(error, sourceLocation: location)
  }
}
