import ParleyHTTPServer
import ParleyRuntime
import ParleyTLS

/// Browsers in which the owner logged in: by a cookie, of which the store has the digest. Confined to the loop.
///
/// Every form carries a token that belongs to the browser's cookie, and is taken only from a page of the door's own.
struct ConsoleLogins: Sendable {
  /// A login page may be answered so long, in seconds.
  private static let pageLifetime = 3_600

  private let loop: EventLoop
  private let options: ConsoleOptions
  private let cookie: String
  private let pageCookie: String

  init(loop: EventLoop, options: ConsoleOptions) {
    self.loop = loop
    self.options = options
    // Browsers hold a name that begins so to this very host, but know it only where the connection is encrypted. They
    // do not tell ports apart, so doors of one host are told apart by their keys.
    let prefix = options.isSecure ? "__Host-parley-" : "parley-"
    let door = Base64.encodeURL(Array(options.store.key.code(Array("name".utf8), for: .console).prefix(6)))
    cookie = prefix + "console-" + door
    pageCookie = prefix + "login-" + door
  }

  private var now: WallTime { loop.wallClockMilliseconds }

  // MARK: Who is logged in

  /// The digest by which a browser's login is known; nil where it is not logged in, or no longer.
  func login(of head: RequestHead) -> String? {
    guard let secret = head.cookie(cookie) else { return nil }
    let digest = Secret.digest(secret)
    return counts(digest) ? digest : nil
  }

  /// Whether a login still counts.
  func counts(_ digest: String) -> Bool { options.store.state().logins[digest].map { $0 > now } ?? false }

  /// What every form of a browser carries.
  func token(of digest: String) -> String {
    Base64.encodeURL(options.store.key.code(Array("form \(digest)".utf8), for: .console))
  }

  /// Whether a form carries the token of its browser.
  func isOwn(_ form: FormFields, of digest: String) -> Bool {
    Array((form["token"] ?? "").utf8).isIdentical(to: Array(token(of: digest).utf8))
  }

  /// Whether a page of the door's own sent the request: a browser says so with every form.
  func isFromHere(_ head: RequestHead) -> Bool {
    let origins = head.fields.all("origin")
    guard origins.count == 1, let origin = origins.first?.lowercased(),
      ["same-origin", nil].contains(head.fields["sec-fetch-site"])
    else { return false }
    // Behind a proxy the door does not know what the browser's connection is.
    let schemes = options.isSecure ? ["https://"] : ["http://", "https://"]
    return origin == options.origin || schemes.contains { origin == $0 + head.authority }
  }

  // MARK: Logging in and out

  /// The secret of a login page: in a cookie, and by its token in the page.
  func page(for head: RequestHead) -> (token: String, field: (name: String, value: String)) {
    let secret = Secret.login.make()
    return (token(of: Secret.digest(secret)), field(pageCookie, secret, seconds: Self.pageLifetime))
  }

  /// Whether a login form comes from the browser that its page was shown to.
  func isAnswer(_ form: FormFields, _ head: RequestHead) -> Bool {
    guard let secret = head.cookie(pageCookie) else { return false }
    return isOwn(form, of: Secret.digest(secret))
  }

  /// Keeps a new login; the line that gives its cookie to the browser.
  func begin() async throws(AuthStoreError) -> [(name: String, value: String)] {
    let secret = Secret.login.make()
    let (digest, now) = (Secret.digest(secret), now)
    let until = now + options.lifetime.milliseconds
    try await options.store.change(on: loop) { $0.logIn(digest, until: until, now: now) }
    return [
      field(pageCookie, "", seconds: 0), field(cookie, secret, seconds: Int(options.lifetime.milliseconds / 1_000)),
    ]
  }

  /// Ends a login; the line that takes its cookie from the browser.
  func end(_ digest: String) async throws(AuthStoreError) -> [(name: String, value: String)] {
    try await options.store.change(on: loop) { $0.logins[digest] = nil }
    return [field(cookie, "", seconds: 0)]
  }

  private func field(_ name: String, _ value: String, seconds: Int) -> (name: String, value: String) {
    let line = "\(name)=\(value); Path=/; Max-Age=\(seconds); HttpOnly; SameSite=Strict"
    return ("Set-Cookie", options.isSecure ? line + "; Secure" : line)
  }
}
