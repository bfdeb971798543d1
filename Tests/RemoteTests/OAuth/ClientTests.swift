import ParleyHTTPServer
import ParleyRuntime
import Testing

@testable import ParleyRemote

/// Who a client is, and where answers to it may go.
@Suite struct ClientTests {
  @Test func redirectsAreReadStrictly() {
    for text in [
      "https://claude.ai/api/mcp/auth_callback", "http://localhost:1234/callback", "http://127.0.0.1/callback?x=1",
      "http://[::1]:5/cb", "cursor://anysphere.cursor-mcp/oauth/callback", "https://a.example:8443/x",
    ] {
      #expect(RedirectURI(text)?.text == text, "\(text)")
    }
    for text in [
      "", "x", "//host/x", "javascript:alert(1)", "javascript://host/%0aalert(1)", "data://x/y", "file:///etc/passwd",
      "http://evil.example/cb", "http://localhost.evil.example/cb", "http://127.0.0.1.evil.example/cb",
      "http://localhost@evil.example/cb", "http://localhost:80@evil.example/cb", "https://user@claude.ai/x",
      "https://claude.ai#frag", "https://claude.ai\\@evil.example/", "http://localhost:0/cb", "http://localhost:99999/",
      "http://localhost:/cb", "http://local%68ost/cb", "https://Claude.ai/x", "HTTPS://claude.ai/x", "https://a b/",
      "https://a/\u{0}", "https://ä.example/", "http://[::1/cb", "http://[::2]/cb", "https:///x", "https://a/\"x",
    ] {
      #expect(RedirectURI(text) == nil, "\(text)")
    }
  }

  @Test func onlyThePortOfThisComputerMayDiffer() throws {
    func isServed(_ text: String, by registered: String) throws -> Bool {
      try #require(RedirectURI(text)).isServed(by: #require(RedirectURI(registered)))
    }
    #expect(try isServed("http://localhost:1/callback", by: "http://localhost/callback"))
    #expect(try isServed("http://127.0.0.1:9/callback", by: "http://127.0.0.1:5/callback"))
    #expect(try !isServed("http://127.0.0.1:9/callback", by: "http://localhost/callback"))
    #expect(try !isServed("http://localhost:1/callback/", by: "http://localhost/callback"))
    #expect(try !isServed("http://localhost:1/callback?x", by: "http://localhost/callback"))
    #expect(try !isServed("https://claude.ai:444/x", by: "https://claude.ai/x"))
    #expect(try !isServed("https://claude.ai/x?y", by: "https://claude.ai/x"))
  }

  @Test func answersCarryTheirFieldsEscaped() throws {
    let redirect = try #require(RedirectURI("http://localhost/cb?a=b"))
    #expect(redirect.with([("state", "x&y=1#\n ä")]) == "http://localhost/cb?a=b&state=x%26y%3D1%23%0A%20%C3%A4")
  }

  private static let registration = Registration(
    key: ServerKey([UInt8](repeating: 1, count: 32)), rules: RedirectRules(further: ["https://own.example/cb"]))

  private static func register(_ text: String) throws -> Registration.Answer {
    try registration.register(Array(text.utf8), now: 5_000)
  }

  @Test func aRegistrationIsItsOwnRecord() throws {
    let answer = try Self.register(
      #"{"redirect_uris":["http://localhost:5/cb"],"client_name":"Test\u202E","token_endpoint_auth_method":"none","x":[1]}"#
    )
    let (client, issued) = try #require(Self.registration.open(answer.client.id))
    #expect(client == answer.client && issued == 5_000 && answer.secret == nil)
    #expect(client.name == "Test⟦U+202E⟧" && client.method == .none)
    // Another server's, or a changed one, is none.
    let other = Registration(key: ServerKey([UInt8](repeating: 2, count: 32)), rules: RedirectRules())
    #expect(other.open(answer.client.id) == nil && Self.registration.open(answer.client.id + "A") == nil)
    // Two that say the same are two.
    let again = try Self.register(#"{"redirect_uris":["http://localhost:5/cb"],"token_endpoint_auth_method":"none"}"#)
    #expect(again.client.id != answer.client.id)
    // A redirect that is no longer allowed no longer counts.
    let owned = try Self.register(#"{"redirect_uris":["https://own.example/cb"]}"#)
    #expect(owned.secret?.isEmpty == false && owned.client.method == .basic)
    let stricter = Registration(key: ServerKey([UInt8](repeating: 1, count: 32)), rules: RedirectRules())
    #expect(stricter.open(owned.client.id)?.client.redirects == [])
  }

  @Test func registrationsThatCouldHarmAreRefused() {
    for (body, code) in [
      ("{", OAuthError.Code.invalidClientMetadata), ("[]", .invalidClientMetadata), ("{}", .invalidRedirectURI),
      (#"{"redirect_uris":[]}"#, .invalidRedirectURI), (#"{"redirect_uris":"x"}"#, .invalidRedirectURI),
      (#"{"redirect_uris":["https://evil.example/cb"]}"#, .invalidRedirectURI),
      (#"{"redirect_uris":["http://localhost/cb","https://evil.example/cb"]}"#, .invalidRedirectURI),
      (#"{"redirect_uris":["http://localhost@evil.example/"]}"#, .invalidRedirectURI),
      (#"{"redirect_uris":["http://localhost/cb"],"grant_types":["client_credentials"]}"#, .invalidClientMetadata),
      (#"{"redirect_uris":["http://localhost/cb"],"response_types":["token"]}"#, .invalidClientMetadata),
      (
        #"{"redirect_uris":[\#((0..<9).map { "\"http://localhost/\($0)\"" }.joined(separator: ","))]}"#,
        .invalidRedirectURI
      ),
    ] {
      #expect(throws: OAuthError.self, "\(body)") {
        do { _ = try Self.register(body) } catch let error as OAuthError {
          #expect(error.code == code, "\(body)")
          throw error
        }
      }
    }
  }

  @Test func documentsAreAtPublicAddresses() {
    for id in [
      "https://vscode.dev/oauth/client-metadata.json", "https://zed.dev/x", "https://a-b.example.org/p/q",
    ] { #expect(MetadataDocuments.isDocument(id), "\(id)") }
    for id in [
      "http://zed.dev/x", "https://zed.dev", "https://zed.dev/", "https://localhost/x", "https://127.0.0.1/x",
      "https://[::1]/x", "https://zed.dev:444/x", "https://u@zed.dev/x", "https://zed.dev/x?y", "https://zed.dev/x#y",
      "https://zed.dev/../x", "https://zed.dev/./x", "https://zed..dev/x", "https://.dev/x", "https://2130706433/x",
      "https://0x7f.1/x", "https://zed.dev\\@evil/x", "https://ä.dev/x",
    ] { #expect(!MetadataDocuments.isDocument(id), "\(id)") }
  }

  @Test func aDocumentIsAboutItself() {
    let id = "https://zed.dev/oauth/client-metadata.json"
    func parse(_ text: String) -> OAuthClient? { MetadataDocuments.parse(Array(text.utf8), id, RedirectRules()) }
    let good = parse(#"{"client_id":"\#(id)","client_name":"Zed","redirect_uris":["http://localhost/cb"]}"#)
    #expect(good?.name == "Zed" && good?.kind == .document && good?.redirects.map(\.text) == ["http://localhost/cb"])
    // Answers go where the document lies, or where any client's may go, and nowhere else.
    let mixed = parse(
      #"{"client_id":"\#(id)","redirect_uris":["https://evil.example/cb","https://zed.dev/cb","https://zed.dev:8443/x"]}"#
    )
    #expect(mixed?.redirects.map(\.text) == ["https://zed.dev/cb"])
    for text in [
      #"{"client_id":"\#(id)","redirect_uris":["https://evil.example/cb"]}"#,
      "{", #"{"client_id":"https://zed.dev/other","redirect_uris":["http://localhost/cb"]}"#,
      #"{"client_id":"\#(id)","redirect_uris":[]}"#, #"{"client_id":"\#(id)"}"#,
      #"{"client_id":"\#(id)","redirect_uris":["http://evil.example/"]}"#,
      #"{"client_id":"\#(id)","redirect_uris":["http://localhost/cb"],"token_endpoint_auth_method":"private_key_jwt"}"#,
    ] { #expect(parse(text) == nil, "\(text)") }
  }

  @Test func documentsAreFetchedOnceAnHour() throws {
    final class Count: @unchecked Sendable { var fetches: [String] = [] }  // confined to the loop
    let count = Count()
    let loop = try EventLoop(name: "documents", seed: 1)
    try loop.run {
      let documents = MetadataDocuments(loop: loop, rules: RedirectRules()) { url, _ in
        count.fetches.append(url)
        guard url.hasSuffix("good") else { return nil }
        return Array(#"{"client_id":"\#(url)","redirect_uris":["http://localhost/cb"]}"#.utf8)
      }
      for _ in 0..<3 {
        #expect(await documents.client("https://a.example/good") != nil)
        #expect(await documents.client("https://a.example/bad") == nil)
      }
      #expect(count.fetches.count == 2)
      await loop.sleep(for: .seconds(61))
      #expect(await documents.client("https://a.example/bad") == nil)
      #expect(await documents.client("https://a.example/good") != nil)
      #expect(count.fetches.count == 3)
      await loop.sleep(for: .seconds(3_600))
      #expect(await documents.client("https://a.example/good") != nil)
      #expect(count.fetches.count == 4)
    }
  }

  @Test func attemptsAreCounted() {
    var limiter = AttemptLimiter(perAddress: 2, inAll: 5, minutes: 1, capacity: 3)
    func take(_ address: IPAddress?, _ now: WallTime) -> Bool { limiter.take(address, now: now) }
    let (a, b) = (IPAddress("192.0.2.1"), IPAddress("192.0.2.2"))
    #expect(take(a, 0) && take(a, 1) && !take(a, 59_999))
    #expect(take(b, 2))
    #expect(take(a, 60_000), "a new window")
    // A good end does not count.
    limiter = AttemptLimiter(perAddress: 2, inAll: 5, minutes: 1)
    for _ in 0..<20 {
      #expect(take(a, 5))
      limiter.giveBack(a, now: 5)
    }
    // All together.
    for number in 0..<5 { #expect(take(IPAddress("192.0.2.\(number)"), 6)) }
    #expect(!take(IPAddress("192.0.2.9"), 6))
    // One network of IPv6, and Claude's range, are one.
    limiter = AttemptLimiter(perAddress: 1, inAll: 99, minutes: 1)
    #expect(take(IPAddress("2001:db8:1:2::1"), 0) && !take(IPAddress("2001:db8:1:2:9::1"), 0))
    #expect(take(IPAddress("2001:db8:1:3::1"), 0))
    #expect(take(IPAddress("160.79.104.9"), 0) && !take(IPAddress("160.79.111.1"), 0))
    // A full table counts the rest together.
    limiter = AttemptLimiter(perAddress: 1, inAll: 99, minutes: 1, capacity: 2)
    #expect(take(a, 0) && take(b, 0) && take(IPAddress("192.0.2.3"), 0))
    #expect(!take(IPAddress("192.0.2.4"), 0))
  }

  @Test func addressesOfTheDoor() {
    #expect(PublicAddress("https://parley.example.org/")?.issuer == "https://parley.example.org")
    #expect(PublicAddress("https://parley.example.org")?.resource == "https://parley.example.org/mcp")
    #expect(
      PublicAddress("http://127.0.0.1:8808")?.host == "127.0.0.1" && PublicAddress("http://[::1]:1")?.host == "::1")
    for text in [
      "http://parley.example.org", "https://a/b", "https://A.example", "https://u@a.example", "x", "https://a?",
    ] {
      #expect(PublicAddress(text) == nil, "\(text)")
    }
  }

  @Test func formsAreReadStrictly() {
    let fields = FormFields("a=1&b=x%20y+z&c&=d&a=2")
    #expect(fields?.all("a") == ["1", "2"] && fields?["a"] == nil && fields?["b"] == "x y z" && fields?["c"] == nil)
    #expect(fields?.repeats(["b", "a"]) == true && fields?.repeats(["b"]) == false)
    for text in ["%", "%4", "%zz", "%ff", "a=%00"] { #expect(FormFields(text) == nil, "\(text)") }
    #expect(FormFields((0..<65).map { "a\($0)=1" }.joined(separator: "&")) == nil)
  }
}
