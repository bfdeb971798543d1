import ParleyRuntime
import ParleyTestKit
import Testing

/// What strangers may try on a served door, all of it refused: slow and half-open connections by the thousand, bombs,
/// smuggling, names that resolve to this machine. Others are served meanwhile, and memory comes back.
@Suite struct AbuseTests {
  private static let token = "0123456789abcdef0123456789abcdef"

  /// Half-open and slow connections at a time.
  private static var slowOnes: Int { Environment.value("PARLEY_SOAK") == "1" ? 10_000 : 1_000 }

  @Test func isRefusedAndLeavesNothingBehind() async throws {
    try await onLoop { loop in
      let door = try await DoorServer(
        loop: loop,
        http: "token: \(Self.token), connections: \(Self.slowOnes + 1_000), head_timeout_ms: 3000, "
          + "body_timeout_ms: 3000, idle_timeout_ms: 3000")
      let abuser = try ChildProcess(
        loop: loop, path: try TestPrograms.path("python3"),
        arguments: ["-u", "-c", Self.script, "\(door.port.number)", "\(door.processID ?? 0)", Self.token]
          + ["\(Self.slowOnes)"],
        environment: door.environment)
      let exit = await abuser.waitForExit(until: loop.now.advanced(by: .seconds(120)))
      #expect(exit == .status(0), "\(abuser.errorLines.suffix(20).joined(separator: "\n"))")
      #expect(
        abuser.outputLines == [
          "bombs", "smuggling", "hosts and origins", "paths", "served meanwhile", "slow ones are let go", "memory",
        ])
      await door.stop()
    }
  }

  private static let script = #"""
    import json, resource, socket, statistics, sys, time
    port, process, token, crowd = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(crowd + 4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)

    def connect():
        s = socket.create_connection(("127.0.0.1", port))
        s.settimeout(20)
        return s

    def ask(raw, watches):
        """The status of the first answer and, where it is watched for, whether the connection is closed behind it."""
        with connect() as s:
            try: s.sendall(raw)
            except (BrokenPipeError, ConnectionResetError): pass
            data = b""
            while b"\r\n\r\n" not in data:
                try: piece = s.recv(65536)
                except ConnectionResetError: break
                if not piece: break
                data += piece
            status = int(data.split(b" ", 2)[1]) if data else 0
            if not watches: return status, None
            s.settimeout(2)
            try:
                while s.recv(65536): pass
                return status, True
            except ConnectionResetError: return status, True
            except socket.timeout: return status, False

    def expect(raw, *statuses, closes=None):
        status, closed = ask(raw, closes is not None)
        assert status in statuses, (status, raw[:200])
        assert closes is None or closed == closes, ("closed", closed, raw[:200])

    auth = b"Authorization: Bearer " + token.encode() + b"\r\n"
    body = json.dumps({"topic": "general", "content": "hello"}).encode()
    good = (b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n" + auth
            + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def rss():
        # The door gives memory back half a second after a crowd has gone.
        time.sleep(1)
        for line in open(f"/proc/{process}/status"):
            if line.startswith("VmRSS"): return int(line.split()[1]) / 1024

    def post(s):
        start = time.monotonic()
        s.sendall(good)
        data = b""
        while b"\r\n\r\n" not in data: data += s.recv(65536)
        head, rest = data.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int([l for l in head.split(b"\r\n") if l.lower().startswith(b"content-length")][0].split(b":")[1])
        while len(rest) < length: rest += s.recv(65536)
        return time.monotonic() - start

    def posts(count):
        with connect() as s: return statistics.median(post(s) for _ in range(count))

    def slow(count):
        held = []
        for i in range(count):
            s = connect()
            # Half a head, a head without its body, or nothing at all.
            s.sendall([b"POST /mcp HTTP/1.1\r\nHost: loc", good[:-5], b""][i % 3])
            held.append(s)
        return held

    def gone(held):
        for s in held:
            try:
                while s.recv(65536): pass
            except ConnectionResetError: pass
            s.close()

    # What a first round of the same size leaves is the allocator's.
    gone(slow(crowd)); quiet = posts(200)
    base = rss()

    get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    expect(b"GET /" + b"a" * 10000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, closes=True)
    expect(get + b"X: " + b"a" * 40000 + b"\r\n\r\n", 431, closes=True)
    expect(get + b"".join(b"X-%d: a\r\n" % i for i in range(200)) + b"\r\n", 431, closes=True)
    big = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n" + auth + b"Content-Type: application/json\r\n"
    expect(big + b"Content-Length: 200000000\r\n\r\n" + b"x" * 100000, 413, closes=True)
    expect(big + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n" + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 80, 413, closes=True)
    deep = b"[" * 100000
    expect(big + b"Content-Length: %d\r\n\r\n" % len(deep) + deep, 400)
    print("bombs")

    line = b"POST /mcp HTTP/1.1\r\n"
    host = b"Host: localhost\r\n"
    for lines in (
        host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", host + b"Content-Length: 5\r\nContent-Length: 6\r\n",
        host + b"Content-Length: +5\r\n", host + b"Content-Length: 5, 6\r\n", host + b"Content-Length: 0x5\r\n",
        host + b"Content-Length: -1\r\n", host + b"Transfer-Encoding: chunked, identity\r\n",
        host + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", host + b"Content-Length : 5\r\n",
        host + b" Content-Length: 5\r\n", host + b"X: a\r\n folded: b\r\n", host + b"X\x00: a\r\n", host + b"X: a\x00b\r\n",
        host + b"Host: evil.example\r\n", b"", host + b"X: a\rContent-Length: 5\r\n", host + b": a\r\n",
    ):
        expect(line + lines + b"\r\nhello", 400, closes=True)
    expect(line + host + b"Transfer-Encoding: xchunked\r\n\r\n", 400, 501, closes=True)
    print("smuggling")

    for name in (b"evil.example", b"127.0.0.1.evil.example", b"localhost.evil.example:%d" % port, b"0x7f.1.evil", b"parley"):
        expect(b"GET /healthz HTTP/1.1\r\nHost: " + name + b"\r\n\r\n", 403)
        expect(good.replace(b"Host: localhost", b"Host: " + name), 403)
    for origin in (b"https://evil.example", b"null", b"http://localhost.evil.example", b"http://localhost:1"):
        expect(good.replace(b"Host: localhost\r\n", b"Host: localhost\r\nOrigin: " + origin + b"\r\n"), 403)
    print("hosts and origins")

    for path in (b"/mcp/../healthz", b"/%6dcp", b"//mcp", b"/mcp/", b"/healthz%00", b"/v1/messages/..", b"/hooks/", b"/relay/"):
        expect(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + auth + b"\r\n", 404, 400)
    print("paths")

    held = slow(crowd)
    busy = posts(200)
    assert busy < max(5 * quiet, 0.02), (quiet, busy)
    print("served meanwhile")

    start = time.monotonic()
    gone(held)
    assert time.monotonic() - start < 15
    print("slow ones are let go")

    posts(50)
    left = rss()
    assert left < base + 5, (base, left)
    print(f"rss {base:.1f} MiB before, {left:.1f} MiB after; post {quiet * 1e3:.2f} ms before, {busy * 1e3:.2f} ms among them", file=sys.stderr)
    print("memory")
    """#
}
