import ParleyRuntime

/// What all pages of a login have around them.
struct ConsoleFrame {
  /// Whom the owner posts as.
  let me: Handle
  /// What every form carries.
  let token: String
  /// Requests for leave can be answered here.
  let hasApprovals: Bool

  /// A page; `reload` is the address at which the same is read anew when something changed, nil where it stays.
  func page(
    _ title: String, at route: ConsoleRoute, reload: String?, error: String? = nil, body: String
  ) -> HTMLPage {
    let state = reload.map { address in
      """
      <p id="state" class="hint" role="status" data-reload="\(HTMLPage.escape(address))">\
      <a href="\(HTMLPage.escape(address))">Reload</a> to see what is new.</p>
      """
    }
    let failure = error.map { "<p class=\"error\" role=\"alert\">\(HTMLPage.escape($0))</p>" }
    return HTMLPage(
      title: "\(title) – Parley", header: header(at: route),
      body: """
        <h1>\(ConsoleText.line(title))</h1>
        \([failure, state].compactMap { $0 }.joined(separator: "\n"))
        \(body)
        """, style: ConsoleStyle.text, script: reload == nil ? nil : ConsoleScript.text)
  }

  /// The hidden fields of a form.
  func fields(_ fields: [(String, String)] = []) -> String {
    ([("token", token)] + fields).map(ConsoleText.hidden).joined()
  }

  private func header(at current: ConsoleRoute) -> String {
    let places: [(ConsoleRoute, String)] =
      [(.overview, "Overview"), (.tasks, "Tasks")] + (hasApprovals ? [(.approvals, "Approvals")] : []) + [
        (.health, "Health")
      ]
    let links = places.map { route, name in
      "<a href=\"\(route.rawValue)\"\(route == current ? " aria-current=\"page\"" : "")>\(name)</a>"
    }
    return """
      <a class="skip" href="#main">To the content</a>
      <header><nav aria-label="Console">\(links.joined())</nav>
      <form method="post" action="\(ConsoleRoute.logout.rawValue)">\(fields())\
      <span class="hint">\(ConsoleText.line(me.name))</span> <button class="small no">Log out</button></form></header>
      """
  }

  /// The page that asks for the passphrase.
  static func login(token: String, error: String?, cameFromElsewhere: Bool) -> HTMLPage {
    // A browser that follows a link from elsewhere does not send the cookie, though it has it.
    let again = "<p class=\"hint\">Logged in already? <a href=\"/console\">Open the console.</a></p>"
    return HTMLPage(
      title: "Log in – Parley",
      body: """
        <h1>Parley</h1>
        \(error.map { "<p class=\"error\" role=\"alert\" id=\"error\">\(HTMLPage.escape($0))</p>" } ?? "")
        <form method="post" action="\(ConsoleRoute.login.rawValue)">
        \(ConsoleText.hidden("token", token))
        <label for="passphrase">Your passphrase</label>
        <input class="text" id="passphrase" name="passphrase" type="password" required autofocus \
        autocomplete="current-password" \(error == nil ? "" : "aria-invalid=\"true\" ")\
        aria-describedby="\(error == nil ? "" : "error ")passphrase-hint">
        <p class="hint" id="passphrase-hint">Set with <code>parley owner set</code>.</p>
        <div class="buttons"><button class="go">Log in</button></div>
        </form>
        \(cameFromElsewhere ? again : "")
        """)
  }
}
