import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// The consent page in a real browser (Debian's Chromium, driven by Playwright): by keyboard, on a phone, without
/// JavaScript, in dark mode, and with a client whose name is an attack.
@Suite struct BrowserTests {
  @Test func theOwnerLetsAClientInByTheConsentPage() throws {
    try Workplace.use { place async throws in
      let owner = try await place.run(
        "owner", "set", "--config", try Self.configure(place), input: OAuthSDKTests.passphrase + "\n")
      try #require(owner.status == 0, "\(owner)")
      let port = try FreePort()
      let door = try await OAuthSDKTests.Door(place, port: port)
      let browser = try ChildProcess(
        loop: place.loop, path: try TestPrograms.path("python3"),
        arguments: [
          "-u", "-c", Self.script, door.address, OAuthSDKTests.passphrase, try TestPrograms.path("chromium"),
          Environment.value("PARLEY_SCREENSHOTS") ?? "",
        ],
        environment: ["PATH": "/usr/bin:/bin", "HOME": place.folder.path, "NO_PROXY": "*"],
        directory: place.folder.path)
      let exit = await browser.waitForExit(until: place.loop.now.advanced(by: .seconds(120)))
      #expect(exit == .status(0), "\(browser.errorLines.suffix(30).joined(separator: "\n"))")
      #expect(
        browser.outputLines == [
          "shown", "attack is text", "wrong passphrase told", "let in by keyboard", "phone fits",
          "refused without script",
          "labels and contrast",
        ])
    }
  }

  /// The owner's passphrase is kept where the door will look for it.
  private static func configure(_ place: Workplace) throws -> String {
    try place.write(
      "login.yaml",
      Workplace.configuration(
        "web", extra: "auth: { public_url: \"http://127.0.0.1:1\", store: door/auth.store }"))
    return "login.yaml"
  }

  private static let script = #"""
    import base64, hashlib, http.server, json, sys, threading, urllib.parse, urllib.request
    from playwright.sync_api import sync_playwright

    door, passphrase, chromium, pictures = sys.argv[1:]
    answers = []

    class Callback(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/callback?"):
                answers.append(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query)))
            self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
        def log_message(self, *arguments): pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    redirect = f"http://127.0.0.1:{server.server_port}/callback"

    def register(name):
        body = {"redirect_uris": [redirect], "client_name": name, "token_endpoint_auth_method": "none"}
        request = urllib.request.Request(door + "/register", json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))["client_id"]

    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"verifier").digest()).rstrip(b"=").decode()
    def address(name):
        return door + "/authorize?" + urllib.parse.urlencode({
            "response_type": "code", "client_id": register(name), "redirect_uri": redirect, "state": "s1",
            "code_challenge": challenge, "code_challenge_method": "S256", "scope": "parley:read parley:post"})

    def picture(page, name):
        if pictures: page.screenshot(path=f"{pictures}/{name}.png", full_page=True)

    def luminance(color):
        parts = [int(part) / 255 for part in color[color.index("(") + 1:-1].split(",")[:3]]
        r, g, b = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    def contrast(page, selector):
        ink, paper = page.eval_on_selector(selector, """e => {
            let paper = e; while (getComputedStyle(paper).backgroundColor == 'rgba(0, 0, 0, 0)') paper = paper.parentElement
            return [getComputedStyle(e).color, getComputedStyle(paper).backgroundColor] }""")
        low, high = sorted([luminance(ink), luminance(paper)])
        return (high + 0.05) / (low + 0.05)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        errors, dialogs = [], []
        def open(name, **options):
            page = browser.new_context(**options).new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
            page.goto(address(name))
            return page

        page = open("Assistant")
        assert "Assistant" in page.inner_text("main") and "127.0.0.1" in page.inner_text("main")
        picture(page, "consent")
        print("shown")

        attack = '<img src=x onerror=alert(1)><script>alert(2)</script>'
        page2 = open(attack)
        assert attack in page2.inner_text("main")
        assert page2.locator("img").count() == 0 and page2.locator("script").count() == 0 and not dialogs
        print("attack is text")

        page.fill("input[type=password]", "wrong")
        page.click("button[value=allow]")
        assert "not your passphrase" in page.inner_text("main") and not answers
        print("wrong passphrase told")

        page.focus("body")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.type") == "password": break
        else: raise SystemExit("the passphrase is not reached by keyboard")
        page.keyboard.type(passphrase)
        for _ in range(5):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.value") == "allow": break
        else: raise SystemExit("the button is not reached by keyboard")
        page.keyboard.press("Enter")
        page.wait_for_url(redirect + "**")
        assert answers[-1]["state"] == "s1" and answers[-1]["code"].startswith("parley_ac_") and answers[-1]["iss"] == door
        print("let in by keyboard")

        phone = open("Assistant", viewport={"width": 360, "height": 740}, device_scale_factor=2, is_mobile=True,
                     has_touch=True, color_scheme="dark")
        assert phone.evaluate("document.documentElement.scrollWidth") <= 360
        assert all(box["height"] >= 44 for box in [b.bounding_box() for b in phone.locator("button").all()])
        picture(phone, "consent-phone")
        print("phone fits")

        plain = open("Assistant", java_script_enabled=False)
        plain.click("button[value=deny], button:not([value=allow])")
        plain.wait_for_url(redirect + "**")
        assert answers[-1]["error"] == "access_denied"
        print("refused without script")

        for shown in (phone, open("Assistant")):
            for field in shown.locator("input:not([type=hidden])").all():
                assert field.evaluate("e => e.labels.length > 0 || !!e.getAttribute('aria-label')")
            for selector in ("h1", "dt", "dd", ".hint", "button[value=allow]"):
                if shown.locator(selector).count(): assert contrast(shown, selector) >= 4.5, selector
        assert shown.evaluate("document.documentElement.lang") == "en" and not errors
        print("labels and contrast")
        browser.close()
    """#
}
