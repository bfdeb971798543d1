import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// A homeserver of a few lines that does what no test can make a real one do: it hides events from /sync, and answers
/// with nonsense. One room, one account, no memory of its clients.
//
// @unchecked: confined to the test's loop.
final class FakeHomeserver: @unchecked Sendable {
  private let child: ChildProcess
  let port: Int
  private let loop: EventLoop

  init(loop: EventLoop, isolation: isolated (any Actor)? = #isolation) async throws {
    self.loop = loop
    child = try ChildProcess(loop: loop, path: "/usr/bin/env", arguments: ["python3", "-c", Self.program])
    let line = await child.nextLine(until: loop.now.advanced(by: .seconds(20)))
    port = try #require(line.flatMap { Int($0) }, "\(child.errorLines)")
  }

  var options: MatrixOptions {
    var options = MatrixOptions(
      homeserver: "http://127.0.0.1:\(port)", login: .token(access: "t", refresh: nil))
    options.auditInterval = .seconds(1)
    options.requestTimeout = .seconds(5)
    return options
  }

  /// Gives it an order on its standard input, and waits until it is carried out.
  ///
  /// `say TEXT`, `hide TEXT` (not told by /sync), `sneak TEXT` (hidden, and just before the newest), `limit` (the next
  /// /sync that tells something is cut short), `answer BODY` (to every request but /sync, from now on; `answer` alone ends
  /// that), `sync BODY` (to the next /sync), `state BODY` (the state of the room, which it does not tell before),
  /// `expire TOKEN` (refuses it from now on; what renews it is OAuth's endpoint).
  func order(_ line: String) async throws {
    child.send(line + "\n")
    let done = await child.nextLine(until: loop.now.advanced(by: .seconds(20)))
    try #require(done == "done", "\(child.errorLines)")
  }

  /// The bodies of the requests to the token endpoint.
  func renewals() async throws -> [String] {
    child.send("renewals\n")
    let line = try #require(await child.nextLine(until: loop.now.advanced(by: .seconds(20))))
    _ = await child.nextLine(until: loop.now.advanced(by: .seconds(20)))
    return try JSONValue(parsing: line).array?.compactMap(\.string) ?? []
  }

  private static let program = #"""
    import json, sys, threading, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from urllib.parse import urlsplit, parse_qs, unquote

    ROOM = "!room:fake"
    lock = threading.Condition()
    order = []      # event ids in the order of history
    events = {}
    told = []       # event ids in the order of /sync
    expired, renewals = set(), []
    state = {"limited": False, "answer": None, "sync": None, "room": None}

    def add(text, hidden=False, sneak=False):
        with lock:
            id = "$e%d" % (len(events) + 1)
            events[id] = {"type": "m.room.message", "event_id": id, "sender": "@p:fake",
                          "origin_server_ts": int(time.time() * 1000), "content": {"msgtype": "m.text", "body": text}}
            order.insert(len(order) - 1 if sneak else len(order), id)
            if not hidden: told.append(id)
            lock.notify_all()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *args): pass
        def answer(self, body, status=200):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        def sync(self, query):
            since = int(query.get("since", ["0"])[0].lstrip("s")) if "since" in query else None
            if since is None: return self.answer({"next_batch": "s%d" % len(told)})
            until = time.time() + int(query["timeout"][0]) / 1000
            with lock:
                while len(told) == since and not state["sync"] and time.time() < until: lock.wait(0.2)
                if state["sync"]:
                    body, state["sync"] = state["sync"], None
                    return self.answer(body.encode())
                new = told[since:]
                limited, state["limited"] = state["limited"] and bool(new), state["limited"] and not new
                if limited: new = new[-1:]
                timeline = {"events": [events[id] for id in new], "limited": limited, "prev_batch": "s%d" % since}
                join = {ROOM: {"timeline": timeline}} if new else {}
                self.answer({"next_batch": "s%d" % len(told), "rooms": {"join": join}})
        def messages(self, query):
            with lock:
                back = query["dir"][0] == "b"
                limit = int(query["limit"][0])
                place = int(query["from"][0]) if "from" in query else (len(order) if back else 0)
                if back:
                    chunk = order[max(0, place - limit):place][::-1]
                    end = place - len(chunk)
                else:
                    chunk = order[place:place + limit]
                    end = place + len(chunk)
                answer = {"chunk": [events[id] for id in chunk], "start": str(place)}
                if chunk: answer["end"] = str(end)
                self.answer(answer)
        def handle_any(self):
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            url = urlsplit(self.path)
            if url.path == "/_matrix/client/v1/auth_metadata":
                return self.answer({"token_endpoint": "http://127.0.0.1:%d/oauth/token" % server.server_address[1]})
            if url.path == "/oauth/token":
                renewals.append(sent)
                fresh = {"access_token": "t%d" % len(renewals), "refresh_token": "r%d" % len(renewals)}
                return self.answer(fresh)
            if self.headers.get("Authorization", "")[7:] in expired:
                return self.answer({"errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": True}, 401)
            query = parse_qs(url.query)
            path = unquote(url.path).split("/_matrix/client/v3/")[-1]
            if path == "sync": return self.sync(query)
            if state["answer"] is not None: return self.answer(state["answer"].encode())
            if path == "/_matrix/client/versions": return self.answer({"versions": ["v1.11"]})
            if path.endswith("/state") and state["room"]: return self.answer(state["room"].encode())
            if path == "account/whoami": return self.answer({"user_id": "@us:fake", "device_id": "D"})
            if path.startswith("directory/room/"): return self.answer({"room_id": ROOM})
            if path == "joined_rooms": return self.answer({"joined_rooms": [ROOM]})
            if path.endswith("/messages"): return self.messages(query)
            if "/context/" in path:
                with lock:
                    id = path.split("/context/")[1]
                    if id in events: return self.answer({"start": str(order.index(id)), "end": str(order.index(id) + 1)})
            self.answer({"errcode": "M_NOT_FOUND", "error": "not here"}, 404)
        do_GET = do_POST = do_PUT = handle_any

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "say": add(rest)
        elif word == "hide": add(rest, hidden=True)
        elif word == "sneak": add(rest, hidden=True, sneak=True)
        elif word == "limit": state["limited"] = True
        elif word == "expire": expired.add(rest)
        elif word == "renewals": print(json.dumps(renewals), flush=True)
        elif word == "state": state["room"] = rest
        elif word == "answer": state["answer"] = rest or None
        elif word == "sync":
            with lock:
                state["sync"] = rest
                lock.notify_all()
        print("done", flush=True)
    """#
}
