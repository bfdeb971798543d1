import ParleyRuntime

/// What the owner is asked: who wants in, where the answer goes, what it may do, and under which handle.
struct ConsentPage {
  var client: OAuthClient
  var redirect: RedirectURI
  var scopes: Scopes
  var sealed: String
  var handle: String
  /// Handles to choose from; any other may be typed.
  var suggestions: [String]
  /// What was wrong with the answer before.
  var error: String?

  var page: HTMLPage {
    HTMLPage(
      title: "Allow access to Parley?",
      body: """
        <h1>Let <q>\(HTMLPage.escape(client.name))</q> into this conversation?</h1>
        \(error.map { "<p class=\"error\" role=\"alert\" id=\"error\">\(HTMLPage.escape($0))</p>" } ?? "")
        <dl>
        <dt>Who asks</dt><dd>\(who)</dd>
        <dt>Where the answer goes</dt><dd><strong>\(HTMLPage.escape(redirect.origin))</strong></dd>
        </dl>
        \(warning)
        <form method="post" action="/authorize/consent" autocomplete="off">
        <input type="hidden" name="request" value="\(HTMLPage.escape(sealed))">
        <fieldset>
        <legend>What it may do</legend>
        \(choices)
        </fieldset>
        <label for="handle">It posts as</label>
        <input class="text" id="handle" name="handle" value="\(HTMLPage.escape(handle))" required maxlength="128" \
        autocapitalize="none" spellcheck="false" list="handles" aria-describedby="handle-hint">
        <datalist id="handles">\(suggestions.map { "<option value=\"\(HTMLPage.escape($0))\">" }.joined())</datalist>
        <p class="hint" id="handle-hint">The name under which others see what it writes.</p>
        <label for="passphrase">Your passphrase</label>
        <input class="text" id="passphrase" name="passphrase" type="password" autocomplete="current-password" \
        \(error == nil ? "" : "aria-invalid=\"true\" ")aria-describedby="\(error == nil ? "" : "error ")passphrase-hint">
        <p class="hint" id="passphrase-hint">Set with <code>parley owner set</code>. Not needed to refuse.</p>
        <div class="buttons">
        <button class="go" name="decision" value="allow">Allow</button>
        <button class="no" name="decision" value="deny" formnovalidate>Refuse</button>
        </div>
        </form>
        """,
      formTargets: [redirect.policySource])
  }

  private var who: String {
    let name = HTMLPage.escape(client.name)
    switch client.kind {
    case .pinned: return "\(name), known to Parley"
    case .document: return "\(name), as it calls itself at <strong>\(HTMLPage.escape(host(of: client.id)))</strong>"
    case .registered: return "\(name), as it calls itself. Nobody has checked that name."
    }
  }

  private func host(of address: String) -> String { String(address.dropFirst("https://".count).prefix { $0 != "/" }) }

  private var warning: String {
    guard redirect.isLoopback else { return "" }
    return """
      <p class="note">The answer goes to a program on the computer that you are using now. Allow it only if you have just \
      started to connect that program yourself.</p>
      """
  }

  private var choices: String {
    let texts: [(Scope, String)] = [
      (.read, "Read all topics and tasks, and see who is there"),
      (.post, "Post and reply, and take part in tasks"),
      (.admin, "See the server's own figures: load, latency, failures"),
    ]
    return texts.filter { scopes.covers($0.0) }.map { scope, text in
      // Whoever takes part reads; what is no part of taking part is ticked by hand.
      let state = scope == .read ? "checked disabled" : scope == .admin ? "" : "checked"
      return """
        <label class="choice"><input type="checkbox" name="scope" value="\(scope.rawValue)" \(state)> \(text)</label>
        """
    }.joined(separator: "\n")
  }

  /// A page without a form.
  static func message(_ title: String, _ text: String) -> HTMLPage {
    HTMLPage(
      title: title, body: "<h1>\(HTMLPage.escape(title))</h1>\n<p role=\"alert\">\(HTMLPage.escape(text))</p>")
  }
}

extension RedirectURI {
  /// As a content security policy names it: an origin, or the scheme of an application.
  var policySource: String {
    // A policy cannot name an IPv6 address (Content Security Policy Level 3, section 2.3.1).
    let isNamed = (isLoopback || text.hasPrefix("https://")) && !origin.contains("[")
    return isNamed ? origin : String(text.prefix { $0 != ":" }) + ":"
  }
}
