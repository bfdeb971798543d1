import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// Servers that know no blocking reads, as some hosted ones: refused, or answered at once.
@Suite struct PollingTests {
  @Test(arguments: ["refuse", "ignore"]) func newMessagesAreLookedForByTurns(mode: String) async throws {
    try await withServer { place in
      let front = try ChildProcess(
        loop: place.loop, path: "/usr/bin/env",
        arguments: ["python3", "-u", "-c", Self.script, "\(place.server.port)", mode])
      let port = try #require(Int(await front.nextLine(until: place.soon) ?? ""))
      let url = "redis://127.0.0.1:\(port)"
      let backend = try await place.connect(url) { $0.pollInterval = .milliseconds(80) }
      let recorder = DeliveryRecorder(loop: place.loop)
      _ = try await backend.subscribe(general, after: Cursor("0-0"), sink: recorder.sink)
      for number in 0..<5 {
        try await backend.post(draft("\(number)"))
        #expect(await recorder.wait(until: place.soon) { $0.messages.count == number + 1 })
      }
      // Quiet for longer than the longest pause, then a topic that comes later.
      await place.loop.sleep(for: .milliseconds(300))
      let later = DeliveryRecorder(loop: place.loop)
      _ = try await backend.subscribe(Topic("later"), after: Cursor("0-0"), sink: later.sink)
      try await backend.post(draft("last"))
      try await backend.post(draft("there", on: Topic("later")))
      #expect(await recorder.wait(until: place.soon) { $0.messages.last?.content == "last" })
      #expect(await later.wait(until: place.soon) { $0.messages.count == 1 })
      #expect(await backend.traits.notes.contains { $0.contains("looked for every") })
      #expect(try await RedisInspection.look(try RedisOptions(url: url)).blocks == false)
    }
  }

  /// Passes everything, but for the BLOCK of XREAD.
  private static let script = """
    import asyncio, sys
    target, mode = int(sys.argv[1]), sys.argv[2]
    async def command(reader):
        line = await reader.readline()
        if not line: return None
        parts = []
        for _ in range(int(line[1:])):
            size = int((await reader.readline())[1:])
            parts.append(await reader.readexactly(size)); await reader.readexactly(2)
        return parts
    async def serve(reader, writer):
        back, out = await asyncio.open_connection('127.0.0.1', target)
        lock = asyncio.Lock()
        async def answers():
            while True:
                data = await back.read(65536)
                if not data: break
                writer.write(data); await writer.drain()
            writer.close()
        task = asyncio.ensure_future(answers())
        while True:
            parts = await command(reader)
            if parts is None: break
            if parts[0].upper() == b'XREAD' and b'BLOCK' in parts:
                at = parts.index(b'BLOCK')
                if mode == 'refuse':
                    # In its place a command that the server refuses, so that replies stay in order.
                    parts = [b'XREAD', b'BLOCKING-IS-NOT-SUPPORTED']
                else:
                    del parts[at:at + 2]
            out.write(b'*%d\\r\\n' % len(parts) + b''.join(b'$%d\\r\\n%s\\r\\n' % (len(p), p) for p in parts))
        out.close()
    async def main():
        server = await asyncio.start_server(serve, '127.0.0.1', 0)
        print(server.sockets[0].getsockname()[1])
        await server.serve_forever()
    asyncio.run(main())
    """
}
