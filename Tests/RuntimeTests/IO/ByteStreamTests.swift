import Glibc
import ParleyTestKit
import Testing

@testable import ParleyRuntime

/// Streams over real sockets, both ends on one loop.
@Suite struct ByteStreamTests {
  @Test func echoesOverTCP() async throws {
    try await onLoop { loop in
      let listener = try Listener(loop: loop)
      let (client, server) = try await connectedPair(listener)
      client.stream.write(Array("hello".utf8))
      #expect(await server.read(5) == Array("hello".utf8))
      server.stream.write(Array("world!".utf8))
      #expect(await client.read(6) == Array("world!".utf8))
      client.stream.close()
      #expect(await server.closed() == .unavailable)
      #expect(client.closeError == nil)
    }
  }

  @Test func whatOneTurnWritesArrivesAsOnePiece() async throws {
    try await onLoop { loop in
      let listener = try Listener(loop: loop)
      let (client, server) = try await connectedPair(listener)
      for number in 0..<100 { client.stream.write(Array("\(number % 10)".utf8)) }
      #expect(client.stream.queuedBytes == 100)
      #expect(await server.read(100).count == 100)
      #expect(server.pieces == 1)
    }
  }

  @Test func unixSocketsWork() async throws {
    try await onLoop { loop in
      let folder = try TemporaryDirectory()
      let listener = try Listener(loop: loop, path: folder.path("socket"))
      let (client, server) = try await connectedPair(listener)
      client.stream.write([1, 2, 3])
      #expect(await server.read(3) == [1, 2, 3])
    }
  }

  @Test func aPausedStreamHoldsItsPeerBackAndLosesNothing() async throws {
    try await onLoop { loop in
      let listener = try Listener(loop: loop)
      let (client, server) = try await connectedPair(listener, queueLimit: 1 << 20)
      server.stream.pauseReading()
      let piece = [UInt8](repeating: 7, count: 64 << 10)
      var sent = 0
      // Until the kernel's buffers and the queue are full: from then on every write is refused.
      while client.stream.hasRoom {
        #expect(client.stream.write(piece))
        sent += piece.count
        await loop.sleep(for: .milliseconds(1))
      }
      #expect(!client.stream.write(piece))
      #expect(client.stream.queuedBytes >= 1 << 20)
      #expect(client.stream.queuedBytes < 1 << 20 + piece.count)
      #expect(!(await client.stream.room(until: loop.now.advanced(by: .milliseconds(20)))))
      server.stream.resumeReading()
      #expect(await client.stream.room(until: loop.now.advanced(by: .seconds(10))))
      #expect(await server.read(sent).count == sent)
    }
  }

  @Test func aPausedStreamLearnsOfTheEndWhenItReadsOn() async throws {
    try await onLoop { loop in
      let listener = try Listener(loop: loop)
      let (client, server) = try await connectedPair(listener)
      client.stream.pauseReading()
      server.stream.write(Array("last words".utf8))
      await loop.sleep(for: .milliseconds(5))
      server.stream.close()
      await loop.sleep(for: .milliseconds(20))
      #expect(client.closeError == nil)
      client.stream.resumeReading()
      #expect(await client.read(10) == Array("last words".utf8))
      #expect(await client.closed() == .unavailable)
    }
  }

  @Test func aRefusedPortIsUnavailableWithItsCause() async throws {
    try await onLoop { loop in
      let port = try Listener(loop: loop).close()
      let error = await failure {
        try await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: port), loop: loop, until: soon(loop))
      }
      #expect(error?.code == .unavailable)
      #expect(error?.native == Int(ECONNREFUSED))
      #expect(error?.operation == "connect to 127.0.0.1:\(port)")
    }
  }

  @Test func theNextAddressIsTriedWhenOneRefuses() async throws {
    try await onLoop { loop in
      let listener = try Listener(loop: loop)
      // Nothing listens on 127.0.0.2 at that port.
      let other = try await Resolver.addresses(of: "127.0.0.2", port: listener.port, loop: loop, until: soon(loop))
      let good = try await Resolver.addresses(of: "127.0.0.1", port: listener.port, loop: loop, until: soon(loop))
      let connector = Connector(loop: loop, endpoint: .tcp(host: "two", port: listener.port), addresses: other + good)
      let descriptor = try await connector.run(until: soon(loop))
      #expect(descriptor >= 0)
      Glibc.close(descriptor)
    }
  }

  @Test func namesAreLookedUpOffTheLoop() async throws {
    try await onLoop { loop in
      let found = try await Resolver.addresses(of: "localhost", port: 1, loop: loop, until: soon(loop))
      #expect(!found.isEmpty)
      let error = await failure {
        try await ByteStream.connect(
          to: .tcp(host: "no-such-host.invalid", port: 1), loop: loop, until: soon(loop))
      }
      #expect(error?.code == .unavailable)
      #expect(error?.operation == "look up no-such-host.invalid")
    }
  }

  @Test func aCancelledConnectEndsAtOnce() async throws {
    try await onLoop { loop in
      // A listener whose backlog is full answers nobody.
      let listener = try Listener(loop: loop, backlog: 0, accepts: false)
      var crowd: [ByteStream] = []
      for _ in 0..<8 {
        if let one = try? await ByteStream.connect(
          to: listener.endpoint, loop: loop, until: loop.now.advanced(by: .milliseconds(50)))
        {
          crowd.append(one)
        } else {
          break
        }
      }
      let endpoint = listener.endpoint
      let task = loop.spawn {
        await failure { try await ByteStream.connect(to: endpoint, loop: loop, until: soon(loop)) }
      }
      await loop.sleep(for: .milliseconds(20))
      task.cancel()
      #expect(await task.value?.code == .cancelled)
      for stream in crowd { stream.close() }
    }
  }

  @Test func longUnixPathsAreRefused() async throws {
    try await onLoop { loop in
      let path = "/" + String(repeating: "x", count: 107)
      let error = await failure { try await ByteStream.connect(to: .unix(path: path), loop: loop, until: soon(loop)) }
      #expect(error?.code == .invalidRequest)
    }
  }

  @Test func aStreamThatIsDroppedClosesItsSocket() async throws {
    try await onLoop { loop in
      let listener = try Listener(loop: loop)
      let server = try await pairThenDropClient(listener)
      #expect(await server.closed() == .unavailable)
    }
  }

  private func pairThenDropClient(_ listener: Listener) async throws -> StreamEnd {
    let (_, server) = try await connectedPair(listener)
    return server
  }
}
