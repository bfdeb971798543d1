extension ConsoleBrowserTests {
  /// What the owner, and those who write to the owner, do: address, passphrase, browser, folder for pictures, program.
  static let script = #"""
    import json, subprocess, sys
    from playwright.sync_api import sync_playwright

    door, passphrase, chromium, pictures, parley = sys.argv[1:]
    attack = '<img src=x onerror=alert(1)><script>alert(2)</script>'

    def run(*arguments, config="console.yaml"):
        words = list(arguments)
        if "--" not in words: words.append("--")
        words[words.index("--"):words.index("--")] = ["--config", config, "--json"]
        done = subprocess.run([parley, *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def post(text, topic="general", sender="coder"): return run("post", topic, "--as", sender, "--", text)[0]

    def newest(): return [line for line in run("fetch", "general") if "content" in line][-1]

    def picture(page, name):
        if pictures: page.screenshot(path=f"{pictures}/{name}.png")

    def accessible(page):
        problems = page.evaluate("""selectors => {
            const problems = []
            for (const field of document.querySelectorAll('input:not([type=hidden]), textarea, select'))
                if (!field.labels.length && !field.getAttribute('aria-label')) problems.push('no label: ' + field.name)
            const light = color => {
                const [r, g, b] = color.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255)
                    .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
                return 0.2126 * r + 0.7152 * g + 0.0722 * b
            }
            for (const selector of selectors) for (const place of document.querySelectorAll(selector)) {
                if (!place.checkVisibility()) continue
                let paper = place
                while (getComputedStyle(paper).backgroundColor == 'rgba(0, 0, 0, 0)') paper = paper.parentElement
                const ink = light(getComputedStyle(place).color)
                const ground = light(getComputedStyle(paper).backgroundColor)
                const contrast = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05)
                if (contrast < 4.5) problems.push(selector + ': ' + contrast)
            }
            if (document.querySelectorAll('h1').length != 1) problems.push('not one h1')
            if (document.documentElement.lang != 'en') problems.push('no language')
            return problems
        }""", ["h1", ".hint", ".tag", ".said", "nav a", "button.go", "button.no", ".count", "summary"])
        assert not problems, problems

    def press(page, selector):
        with page.expect_navigation(): page.click(selector)

    def tab_to(page, test, what):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(test): return
        raise SystemExit(f"{what} is not reached by keyboard")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        errors, dialogs = [], []
        def open_page(context):
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda line: "Content Security Policy" in line.text and errors.append(line.text))
            page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
            return page
        def log_in(page, secret=passphrase):
            page.goto(door + "/console")
            page.fill("input[type=password]", secret)
            press(page, "button.go")
            return page

        desk = browser.new_context(viewport={"width": 1000, "height": 800})
        page = open_page(desk)
        log_in(page, "wrong")
        assert "not your passphrase" in page.inner_text("main")
        assert not [c for c in desk.cookies() if "console" in c["name"]]
        accessible(page)
        print("wrong passphrase told")

        tab_to(page, "document.activeElement.type == 'password'", "the passphrase")
        page.keyboard.type(passphrase)
        page.keyboard.press("Enter")
        page.wait_for_url(door + "/console")
        cookie = [c for c in desk.cookies() if "console" in c["name"]][0]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        assert page.evaluate("document.cookie") == ""
        print("let in by keyboard")

        post("the parser is done")
        page.wait_for_selector("#topics .count:has-text('1 unread')")
        tab_to(page, "document.activeElement.textContent == 'general'", "the topic")
        with page.expect_navigation(): page.keyboard.press("Enter")
        page.wait_for_selector("#messages .said:has-text('the parser is done')")
        page.wait_for_selector("#state:has-text('Live')")
        page.evaluate("window.mark = 'not loaded anew'")
        tab_to(page, "document.activeElement.id == 'text'", "the text")
        page.keyboard.type("half a th")
        stored = post("@ann shall I build the docs?")
        page.wait_for_selector("#messages li:first-child .said:has-text('shall I build the docs?')")
        assert page.evaluate("window.mark") == "not loaded anew"
        assert page.evaluate("document.activeElement.value") == "half a th"
        print("a message appears live, what is being typed stays")

        page.keyboard.type("ought\nand a second line")
        tab_to(page, "document.activeElement.textContent == 'Post'", "the button")
        with page.expect_navigation(): page.keyboard.press("Enter")
        page.wait_for_selector("#messages .said:has-text('half a thought')")
        own = newest()
        assert own["content"] == "half a thought\nand a second line" and own["senderHandle"] == "ann", own
        assert own["attributes"]["parley.hop"] == "0" and own["attributes"]["parley.door"]
        press(page, f"#m-{stored['backendMsgId']} >> text=Reply")
        page.wait_for_selector("#text:focus")
        page.fill("#text", "yes, please")
        press(page, "main button.go")
        page.wait_for_selector("#messages .said:has-text('yes, please')")
        assert newest()["inReplyTo"] == str(stored["backendMsgId"])
        assert page.locator("#messages li:has-text('yes, please') .tag.sure").inner_text() == "verified"
        accessible(page)
        picture(page, "console")
        print("posted and replied by keyboard")

        press(page, "text=Mark as read up to here")
        page.goto(door + "/console")
        page.wait_for_selector("#topics")
        assert "unread" not in page.inner_text("#topics")
        if pictures:
            small = browser.new_context(viewport={"width": 360, "height": 640}, color_scheme="dark")
            small.add_cookies(desk.cookies())
            shown = open_page(small)
            shown.goto(door + "/console/topic?name=general")
            shown.wait_for_selector("#state:has-text('Live')")
            picture(shown, "console-phone")
            small.close()
        print("marked as read")

        page.goto(door + "/console/topic?name=general")
        hostile = post(attack, "general", attack)
        run("post", "general", "--as", "coder", "--attribute", f"kind={attack}", "--attribute", "severity=<b>x",
            "--", "abc\u202edcb\x1b[31m\u0301" + "\n" * 3 + "x")
        post("\n" * 3000 + "<h1>Log in again</h1>")
        post("Z" + "\u0341" * 900)
        page.wait_for_selector("#messages .said:has-text('Log in again')")
        page.wait_for_selector("#messages li:nth-child(1) .said:has-text('Z')")
        item = page.locator(f"#m-{hostile['backendMsgId']}")
        assert item.locator(".said").inner_text() == attack and attack in item.locator(".who").inner_text()
        assert "⟦U+202E⟧" in page.inner_text("#messages") and "⟦U+001B⟧" in page.inner_text("#messages")
        assert all(box["height"] <= 400 for box in [said.bounding_box() for said in page.locator(".said").all()])
        page.goto(door + "/console")
        press(page, "#topics a >> nth=1")
        assert page.inner_text("h1") == attack
        post("in a topic with a hostile name", attack)
        page.wait_for_selector("#messages .said:has-text('hostile name')")
        print("text is text")

        run("task", "post", "general", "--as", "coder", "--body", attack, "--", attack)
        page.goto(door + "/console/tasks")
        task = page.locator("li[id^=k-]")
        assert task.locator("strong").inner_text() == attack
        press(page, "li[id^=k-] >> text=Claim")
        page.wait_for_selector("li[id^=k-] input[name=text]")
        page.wait_for_selector("#state:has-text('Live')")
        page.focus("li[id^=k-] input[name=text]")
        page.keyboard.type("all of ")
        run("task", "post", "general", "--as", "coder", "--", "write the changelog")
        page.wait_for_selector("li[id^=k-]:has-text('write the changelog')")
        page.keyboard.type("it")
        accessible(page)
        press(page, "button[value=done]")
        page.wait_for_selector("li[id^=k-]:has-text('done by ann')")
        done = [task for task in run("task", "list", "general") if task["title"] == attack][0]
        assert done["status"] == "done" and "all of it" in json.dumps(done), done
        print("claimed and finished a task")

        session = subprocess.Popen(
            [parley, "serve", "--config", "coder.yaml"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        def say(method, params, **more):
            session.stdin.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}) + "\n")
            session.stdin.flush()
        about = {"name": "test", "version": "1"}
        say("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about}, id=1)
        session.stdout.readline()
        say("notifications/initialized", {})
        page.goto(door + "/console/approvals")
        page.wait_for_selector("#state:has-text('Live')")
        for code, verdict in (("abcde", "allow"), ("fghij", "deny")):
            say("notifications/claude/channel/permission_request", {
                "request_id": code, "tool_name": "Bash", "description": "Remove it", "input_preview": attack})
            page.wait_for_selector(f"#requests li:has-text('code {code}')")
            assert attack in page.inner_text("#requests")
            accessible(page)
            press(page, f"button[value={verdict}]")
            while True:
                message = json.loads(session.stdout.readline())
                if message.get("method") == "notifications/claude/channel/permission": break
            assert message["params"] == {"request_id": code, "behavior": verdict}, message
            page.wait_for_selector("#requests #none")
        session.stdin.close()
        session.wait(30)
        print("allowed and denied")

        page.goto(door + "/console/health")
        assert page.locator("svg rect.bar").count() > 10 and "live" in page.inner_text("main table")
        accessible(page)
        picture(page, "console-health")
        print("pictures of health")

        phone = open_page(browser.new_context(
            viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True, color_scheme="dark"))
        log_in(phone)
        for place in ("", "/topic?name=general", "/tasks", "/approvals", "/health"):
            phone.goto(door + "/console" + place)
            assert phone.evaluate("document.documentElement.scrollWidth") <= 360, place
            boxes = [button.bounding_box() for button in phone.locator("button, nav a").all()]
            assert all(box["height"] >= 44 for box in boxes if box)
            accessible(phone)
        print("phone fits, in the dark")

        plain = open_page(browser.new_context(java_script_enabled=False))
        log_in(plain)
        press(plain, "text=general")
        plain.fill("#text", "without a script")
        press(plain, "main button.go")
        assert "without a script" in plain.inner_text("#messages li:first-child")
        post("comes with a reload")
        press(plain, "#state a")
        assert "comes with a reload" in plain.inner_text("#messages li:first-child")
        press(plain, "text=Log out")
        plain.goto(door + "/console/tasks")
        assert plain.url == door + "/console/login"
        print("works without script")

        other = open_page(desk)
        other.goto(door + "/console")
        press(other, "text=Log out")
        page.wait_for_url(door + "/console/login", timeout=15000)
        assert page.locator("input[type=password]").count() == 1
        print("logged out everywhere in this browser")
        assert not errors and not dialogs, (errors, dialogs)
        browser.close()
    """#
}
