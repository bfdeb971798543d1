extension OAuthSDKTests {
  /// A client on the official SDK, and the little of a browser that a consent needs.
  static let script = #"""
    import asyncio, html, json, re, sys, urllib.parse
    import httpx2
    from mcp.client import Client
    from mcp.client.auth import OAuthClientProvider, AuthorizationCodeResult
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared.auth import OAuthClientMetadata, OAuthClientInformationFull, OAuthToken

    mode, address = sys.argv[1], sys.argv[2]
    REDIRECT = "http://127.0.0.1:4711/callback"

    class Storage:
        def __init__(self, name=None):
            self.name, self.tokens, self.client = name, None, None
            if name:
                try:
                    kept = json.load(open(name))
                    self.tokens = OAuthToken.model_validate(kept["tokens"])
                    self.client = OAuthClientInformationFull.model_validate(kept["client"])
                except FileNotFoundError:
                    pass
        async def get_tokens(self): return self.tokens
        async def set_tokens(self, tokens):
            self.tokens = tokens
            self.keep()
        async def get_client_info(self): return self.client
        async def set_client_info(self, client):
            self.client = client
            self.keep()
        def keep(self):
            if self.name and self.tokens and self.client:
                json.dump({"tokens": self.tokens.model_dump(mode="json"), "client": self.client.model_dump(mode="json")},
                          open(self.name, "w"))

    class Browser:
        """Shows the consent page to an owner who fills it in."""
        def __init__(self, passphrase, handle="ada", scopes=("parley:post",), tamper=None):
            self.passphrase, self.handle, self.scopes, self.tamper = passphrase, handle, scopes, tamper
            self.pages, self.codes = 0, []
        async def visit(self, url):
            self.pages += 1
            async with httpx2.AsyncClient() as web:
                page = await web.get(url)
                assert page.status_code == 200, page.text
                request = html.unescape(re.search('name="request" value="([^"]*)"', page.text).group(1))
                form = {"request": request, "passphrase": self.passphrase, "handle": self.handle, "decision": "allow",
                        "scope": list(self.scopes)}
                origin = urllib.parse.urlsplit(url)
                answer = await web.post(address + "/authorize/consent", data=form, headers={
                    "Origin": f"{origin.scheme}://{origin.netloc}", "Sec-Fetch-Site": "same-origin"})
                assert answer.status_code == 303, answer.text
                fields = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["location"]).query))
                self.codes.append(fields["code"])
                self.result = AuthorizationCodeResult(
                    code=fields["code"], state=fields["state"], iss=self.tamper or fields["iss"])
        async def callback(self): return self.result

    def provider(storage, browser=None):
        return OAuthClientProvider(
            server_url=address + "/mcp",
            client_metadata=OAuthClientMetadata(
                client_name="Parley test", redirect_uris=[REDIRECT], grant_types=["authorization_code", "refresh_token"],
                response_types=["code"], token_endpoint_auth_method="none"),
            storage=storage, redirect_handler=browser and browser.visit, callback_handler=browser and browser.callback)

    def client(auth=None, token=None, mode="auto"):
        headers = {"Authorization": "Bearer " + token} if token else None
        web = httpx2.AsyncClient(auth=auth, headers=headers, timeout=30)
        return Client(streamable_http_client(address + "/mcp", http_client=web), mode=mode)

    async def post(session, text):
        result = await session.call_tool("parley_post", {"topic": "general", "content": text})
        assert not result.is_error, result
        read = await session.call_tool("parley_fetch_recent", {"topic": "general"})
        message = read.structured_content["messages"][-1]
        # The door knows its own callers' messages again.
        assert message["provenance"] == "verified" and "parley.door" not in message.get("attributes", {}), message
        return message["senderHandle"]

    async def fails(session, tool, arguments):
        try:
            await session.call_tool(tool, arguments)
        except BaseException as error:
            return error
        raise AssertionError("it was not refused")

    async def form(path, fields):
        async with httpx2.AsyncClient() as web:
            return await web.post(address + path, data=fields)

    async def login():
        storage, browser = Storage("tokens.json"), Browser(sys.argv[3])
        for era in ("2026-07-28", "legacy"):
            name = "legacy" if era == "legacy" else "modern"
            async with client(provider(storage, browser), mode=era) as session:
                print(name, "posted as", await post(session, name))
        assert browser.pages == 1 and storage.tokens.scope == "parley:read parley:post"

        narrow, careful = Storage(), Browser(sys.argv[3], scopes=())
        async with client(provider(narrow, careful)) as session:
            await session.call_tool("parley_status", {})
            assert narrow.tokens.scope == "parley:read" and careful.pages == 1
            # The owner ticks it this time: the SDK asks anew by itself.
            careful.scopes = ("parley:post",)
            assert await post(session, "after the step up") == "ada"
            assert careful.pages == 2 and narrow.tokens.scope == "parley:read parley:post"
        print("narrow token refused, stepped up")

        old = storage.tokens
        auth = provider(storage)
        await auth._initialize()
        auth.context.token_expiry_time = 1
        async with client(auth) as session:
            assert await post(session, "after the refresh") == "ada"
        assert storage.tokens.access_token != old.access_token
        assert storage.tokens.refresh_token != old.refresh_token
        print("refreshed")

        answer = await form("/revoke", {"token": narrow.tokens.refresh_token, "client_id": narrow.client.client_id})
        assert answer.status_code == 200
        async with httpx2.AsyncClient() as web:
            refused = await web.post(address + "/mcp", headers={"Authorization": "Bearer " + narrow.tokens.access_token})
        assert refused.status_code == 401 and "invalid_token" in refused.headers["www-authenticate"]
        print("revoked")

        replay = await form("/token", {
            "grant_type": "authorization_code", "code": careful.codes[0], "client_id": narrow.client.client_id,
            "redirect_uri": REDIRECT, "code_verifier": "a" * 43})
        assert replay.status_code == 400 and replay.json()["error"] == "invalid_grant"
        print("code replay refused")

        mixed = Browser(sys.argv[3], tamper="https://evil.example")
        try:
            async with client(provider(Storage(), mixed)) as session:
                await session.call_tool("parley_status", {})
            raise SystemExit("a mixed-up issuer went unnoticed")
        except Exception as error:
            assert mixed.pages >= 1
        print("issuer mismatch noticed")

    async def stored():
        async with client(provider(Storage("tokens.json"))) as session:
            await session.call_tool("parley_status", {})
        print("stored tokens work")

    async def refused():
        tokens = Storage("tokens.json")
        async with httpx2.AsyncClient() as web:
            answer = await web.post(
                address + "/mcp", headers={"Authorization": "Bearer " + tokens.tokens.access_token}, json={})
        renewal = await form("/token", {
            "grant_type": "refresh_token", "refresh_token": tokens.tokens.refresh_token,
            "client_id": tokens.client.client_id})
        assert answer.status_code == 401 and renewal.status_code == 401 and renewal.json()["error"] == "invalid_client"
        print("stored tokens no longer work")

    async def token():
        async with client(token=sys.argv[3]) as session:
            print("posted as", await post(session, "by a script"))

    async def reading():
        async with client(token=sys.argv[3]) as session:
            await session.call_tool("parley_fetch_recent", {"topic": "general"})
            await fails(session, "parley_post", {"topic": "general", "content": "x"})
        print("read, and was refused to post")

    async def metrics():
        async with httpx2.AsyncClient() as web:
            answer = await web.get(address + "/metrics", headers={"Authorization": "Bearer " + sys.argv[3]})
        assert answer.status_code == 200, answer.text
        figures = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
        assert figures["parley_post_duration_seconds_count"] == figures['parley_posts_total{outcome="stored"}']
        assert float(figures["parley_post_duration_seconds_sum"]) > 0 and figures["parley_backend_up"] == "1"
        print("posts", figures['parley_posts_total{outcome="stored"}'])

    async def unknown():
        async with httpx2.AsyncClient() as web:
            answer = await web.post(address + "/mcp", headers={"Authorization": "Bearer " + sys.argv[3]}, json={})
        assert answer.status_code == 401
        print("refused")

    asyncio.run({"login": login, "stored": stored, "refused": refused, "token": token, "reading": reading,
                 "metrics": metrics, "unknown": unknown}[mode]())
    """#
}
