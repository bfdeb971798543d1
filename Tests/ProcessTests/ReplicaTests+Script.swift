extension ReplicaTests {
  /// Clients of two doors, on Python's own library alone.
  static let script = #"""
    import base64, hashlib, html, http.client, json, os, re, signal, sys, threading, time, urllib.parse

    mode, ports = sys.argv[1], [int(port) for port in sys.argv[2:4]]
    META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}

    def connect(place, timeout=30):
        return http.client.HTTPConnection("127.0.0.1", ports[place], timeout=timeout)

    def send(web, body, token=None, **fields):
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if token: headers["Authorization"] = "Bearer " + token
        web.request("POST", "/mcp", json.dumps(body), headers | {k.replace("_", "-"): v for k, v in fields.items()})
        return web.getresponse()

    def events(answer):
        while line := answer.readline():
            if line.startswith(b"data: {"): yield json.loads(line[6:])

    def message(answer):
        if "event-stream" in (answer.headers["content-type"] or ""):
            last = None
            for event in events(answer):
                if "id" in event: last = event
            # A door that is killed ends its streams where they are.
            if last is None: raise http.client.IncompleteRead(b"")
            return last
        text = answer.read()
        return json.loads(text) if text else None

    def modern(web, method, params, token=None, name=None):
        fields = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": method}
        if name: fields["Mcp_Name"] = name
        return send(web, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": META}}, token, **fields)

    def call(web, token, tool, arguments):
        answer = modern(web, "tools/call", {"name": tool, "arguments": arguments}, token, tool)
        value = message(answer)
        assert answer.status == 200, (answer.status, value)
        assert not value["result"].get("isError"), value
        return value["result"]["structuredContent"]

    class Session:
        """A client of the revisions with sessions, pinned to one door; what it is pushed is kept."""
        def __init__(self, place, token):
            self.web, self.token, self.pushed, self.number = connect(place), token, [], 0
            answer = send(self.web, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}, token)
            self.id = answer.headers["mcp-session-id"]
            message(answer)
            noted = send(self.web, {"jsonrpc": "2.0", "method": "notifications/initialized"}, token, Mcp_Session_Id=self.id)
            assert noted.status == 202 and not noted.read()
            self.listening = connect(place, timeout=120)
            self.listening.request("GET", "/mcp", headers={
                "Accept": "text/event-stream", "Authorization": "Bearer " + token, "Mcp-Session-Id": self.id})
            stream = self.listening.getresponse()
            assert stream.status == 200
            self.thread = threading.Thread(target=self.follow, args=(stream,), daemon=True)
            self.thread.start()
        def follow(self, stream):
            try:
                for event in events(stream):
                    if event["method"] == "notifications/claude/channel": self.pushed.append(event["params"])
            except OSError:
                pass
        def call(self, tool, arguments):
            self.number += 1
            answer = send(self.web, {"jsonrpc": "2.0", "id": self.number, "method": "tools/call", "params": {
                "name": tool, "arguments": arguments}}, self.token, Mcp_Session_Id=self.id)
            value = message(answer)
            assert answer.status == 200 and not value["result"].get("isError"), value
            return value["result"]["structuredContent"]
        def wait(self, content):
            end = time.monotonic() + 20
            while time.monotonic() < end:
                found = [event for event in self.pushed if content in event["content"]]
                if found: return found
                time.sleep(0.01)
            raise AssertionError((content, self.pushed))

    def talk():
        ann, bob = Session(0, sys.argv[4]), Session(1, sys.argv[5])
        bob.call("parley_post", {"topic": "general", "content": "to everybody"})
        event = ann.wait("to everybody")[0]
        assert event["meta"]["sender"] == "bob" and event["meta"]["provenance"] == "verified", event
        bob.call("parley_post", {"topic": "general", "content": "for cy alone", "to": "cy"})
        bob.call("parley_post", {"topic": "general", "content": "for ann alone", "to": "ann"})
        ann.wait("for ann alone")
        ann.call("parley_post", {"topic": "general", "content": "back to bob", "to": "bob"})
        bob.wait("back to bob")
        assert not [event for event in ann.pushed if "for cy" in event["content"]]
        print("sessions on two doors hear each other")

        # A session is its door's own.
        elsewhere = connect(1)
        lost = send(elsewhere, {"jsonrpc": "2.0", "id": 1, "method": "ping"}, ann.token, Mcp_Session_Id=ann.id)
        assert lost.status == 404, lost.status
        lost.read()
        print("a session of the other door is unknown")

        webs = [connect(0), connect(1)]
        for place in (0, 1): assert message(modern(webs[place], "server/discover", {}, ann.token))["result"]
        listeners = []
        for place in (0, 1):
            web = connect(place)
            answer = modern(web, "subscriptions/listen", {
                "notifications": {"resourceSubscriptions": ["parley://topic/general"]}}, ann.token)
            stream = events(answer)
            assert next(stream)["method"] == "notifications/subscriptions/acknowledged"
            listeners.append((web, stream))
        for number in range(20):
            posted = call(webs[number % 2], ann.token, "parley_post", {"topic": "general", "content": f"turn {number}"})
            read = call(webs[(number + 1) % 2], ann.token, "parley_fetch_recent", {"topic": "general", "limit": 1})
            assert read["messages"][-1]["backendMsgId"] == posted["backendMsgId"], (number, read)
            again = call(webs[number % 2], ann.token, "parley_fetch_recent", {"topic": "general", "since": read["nextCursor"]})
            assert again["messages"] == [], again
        for _, stream in listeners:
            assert next(stream)["method"] == "notifications/resources/updated"
        print("requests without a session go to either")

    def load():
        token, victim = sys.argv[4], int(sys.argv[5])
        witness = Session(1, sys.argv[6])
        acknowledged, stop, killed = [], threading.Event(), threading.Event()
        problems = []
        def work(name):
            place, web, number = name % 2, None, 0
            while not stop.is_set():
                number += 1
                content = f"w{name}-{number}"
                # Until it is acknowledged, at whichever door answers: the key makes it one message.
                while True:
                    try:
                        web = web or connect(place)
                        call(web, token, "parley_post", {"topic": "general", "content": content, "key": content})
                        break
                    except (OSError, http.client.HTTPException):
                        web = None
                        if place == 1 or not killed.is_set():
                            if place == 1: problems.append("the other door failed")
                            time.sleep(0.01)
                        if killed.is_set(): place = 1
                acknowledged.append(content)
        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads: thread.start()
        time.sleep(2)
        before = len(acknowledged)
        killed.set()
        os.kill(victim, signal.SIGKILL)
        time.sleep(2)
        stop.set()
        for thread in threads: thread.join()
        after = len(acknowledged)
        assert before > 100 and after > before + 100 and not problems, (before, after, problems[:3])
        # Its session was never in trouble.
        witness.call("parley_post", {"topic": "general", "content": "the witness goes on"})
        web, cursor, log = connect(1), "start", []
        first = call(web, token, "parley_fetch_recent", {"topic": "general", "limit": 1})
        page = {"messages": []}
        cursor = sys.argv[7]
        while True:
            page = call(web, token, "parley_fetch_recent", {"topic": "general", "since": cursor, "limit": 1000, "max_bytes": 1000000})
            if not page["messages"]: break
            log += [entry["content"] for entry in page["messages"]]
            cursor = page["nextCursor"]
        mine = [content for content in log if re.fullmatch(r"w\d+-\d+", content)]
        assert len(mine) == len(set(mine)), "a message is there twice"
        missing = set(acknowledged) - set(mine)
        assert not missing, (len(missing), sorted(missing)[:5])
        end = time.monotonic() + 30
        while time.monotonic() < end and len(witness.pushed) < len(mine): time.sleep(0.05)
        heard = [match.group(0) for event in witness.pushed for match in re.finditer(r"w\d+-\d+", event["content"])]
        assert set(heard) == set(mine) and len(heard) == len(mine), (len(heard), len(mine))
        print("nothing acknowledged is lost")
        print(f"{before} posts before, {after - before} after the kill", file=sys.stderr)

    def form(place, path, fields, **headers):
        web = connect(place)
        web.request("POST", path, urllib.parse.urlencode(fields, doseq=True), {
            "Content-Type": "application/x-www-form-urlencoded"} | {k.replace("_", "-"): v for k, v in headers.items()})
        answer = web.getresponse()
        return answer.status, answer.headers, answer.read()

    def login():
        origin = f"http://127.0.0.1:{ports[0]}"
        web = connect(1)
        web.request("POST", "/register", json.dumps({
            "client_name": "replicas", "redirect_uris": ["http://127.0.0.1:4711/callback"],
            "token_endpoint_auth_method": "none"}), {"Content-Type": "application/json"})
        client = json.loads(web.getresponse().read())["client_id"]
        verifier = "v" * 43
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

        def code():
            """Registered at the second, asked at the first, consented at the second."""
            web = connect(0)
            web.request("GET", "/authorize?" + urllib.parse.urlencode({
                "response_type": "code", "client_id": client, "redirect_uri": "http://127.0.0.1:4711/callback",
                "code_challenge": challenge, "code_challenge_method": "S256", "state": "s", "scope": "parley:post",
                "resource": origin + "/mcp"}))
            page = web.getresponse()
            cookie = (page.headers["set-cookie"] or "").split(";")[0]
            page = page.read().decode()
            request = html.unescape(re.search('name="request" value="([^"]*)"', page).group(1))
            status, headers, _ = form(1, "/authorize/consent", {
                "request": request, "passphrase": sys.argv[4], "handle": "ada", "decision": "allow",
                "scope": ["parley:post"]}, Origin=origin, Sec_Fetch_Site="same-origin", Cookie=cookie, Host=f"127.0.0.1:{ports[0]}")
            assert status == 303, status
            return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(headers["location"]).query))["code"]

        def exchange(place, code):
            status, _, body = form(place, "/token", {
                "grant_type": "authorization_code", "code": code, "client_id": client, "code_verifier": verifier,
                "redirect_uri": "http://127.0.0.1:4711/callback"})
            return status, json.loads(body)

        def refresh(place, token):
            status, _, body = form(place, "/token", {
                "grant_type": "refresh_token", "refresh_token": token, "client_id": client})
            return status, json.loads(body)

        def enters(place, token):
            answer = modern(connect(place), "server/discover", {}, token)
            answer.read()
            return answer.status

        # One code, both doors at once: one gives tokens, the other notices; then none of them counts.
        for _ in range(5):
            used, barrier, outcomes = code(), threading.Barrier(2), [None, None]
            def race(place):
                barrier.wait()
                outcomes[place] = exchange(place, used)
            racers = [threading.Thread(target=race, args=(place,)) for place in (0, 1)]
            for racer in racers: racer.start()
            for racer in racers: racer.join()
            assert sorted(status for status, _ in outcomes) == [200, 400], outcomes
            winner = next(body for status, body in outcomes if status == 200)
            loser = next(body for status, body in outcomes if status == 400)
            assert loser["error"] == "invalid_grant", loser
            assert [enters(place, winner["access_token"]) for place in (0, 1)] == [401, 401]
        print("a code counts once")

        # Without a pause, each step at the other door.
        status, tokens = exchange(0, code())
        assert status == 200
        assert [enters(place, tokens["access_token"]) for place in (1, 0)] == [200, 200]
        first = tokens
        for step in range(6):
            place = 1 - step % 2
            status, renewed = refresh(place, tokens["refresh_token"])
            assert status == 200 and renewed["refresh_token"] != tokens["refresh_token"], (step, renewed)
            assert enters(1 - place, renewed["access_token"]) == 200
            tokens = renewed
        status, stolen = refresh(1, first["refresh_token"])
        assert status == 400 and stolen["error"] == "invalid_grant", stolen
        assert [enters(place, tokens["access_token"]) for place in (0, 1)] == [401, 401]
        print("refresh tokens rotate across doors")

        # A record that was tampered with counts at neither.
        print(exchange(0, code())[1]["access_token"])

    def refused():
        for place in (0, 1):
            answer = modern(connect(place), "server/discover", {}, sys.argv[4])
            answer.read()
            assert answer.status == 401, answer.status
        print("refused at both")

    {"talk": talk, "load": load, "login": login, "refused": refused}[mode]()
    """#
}
