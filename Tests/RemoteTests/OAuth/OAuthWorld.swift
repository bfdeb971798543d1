import ParleyMCP
import ParleyRuntime
import ParleyTLS
import ParleyTestKit
import Testing

@testable import ParleyRemote

/// A door with its authorization server, an owner, and what a client and a browser do. Confined to its loop.
final class OAuthWorld: @unchecked Sendable {
  static let issuer = "https://parley.example.org"
  static let passphrase = "correct horse battery staple"
  static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
  static let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
  static let redirect = "http://localhost:4711/callback"

  let world: RemoteWorld
  let store: FileAuthStore
  private let folder: TemporaryDirectory

  private init(_ world: RemoteWorld, _ store: FileAuthStore, _ folder: TemporaryDirectory) {
    self.world = world
    self.store = store
    self.folder = folder
  }

  static func use(
    _ adjust: @escaping @Sendable (inout AuthorizationOptions) -> Void = { _ in },
    door: @escaping @Sendable (inout DoorOptions) -> Void = { _ in }, offer: StdioServer.Offer = .standard(),
    _ body: @escaping @Sendable (OAuthWorld) async throws -> Void
  ) throws {
    let folder = try TemporaryDirectory()
    let store = try FileAuthStore(folder.path("auth.store"))
    try store.changeNow { $0.owner = "hash of \(passphrase)" }
    try RemoteWorld.use(
      offer: offer,
      adjusting: { options, loop in
        guard let address = PublicAddress(issuer) else { return }
        var server = AuthorizationOptions(address: address, handle: Handle("me"), fetch: { _, _ in nil })
        options.owner.verify = { "hash of \($0)" == $1 }
        adjust(&server)
        options.access.hosts = [address.host]
        options.access.origins = [issuer]
        options.authenticator = StoredTokens(loop: loop, store: store, address: address, configured: nil)
        options.metadata = OAuthMetadata(address)
        options.authorization = (store, server)
        options.revocationInterval = .milliseconds(20)
        door(&options)
      }
    ) { world async throws in try await body(OAuthWorld(world, store, folder)) }
  }

  // MARK: A client

  func get(_ path: String, _ fields: [String: String] = [:]) async throws -> WebResponse {
    try await world.request("GET", path, ["Host": "parley.example.org"].merging(fields) { $1 })
  }

  func post(
    _ path: String, _ form: [(String, String)], _ fields: [String: String] = [:]
  ) async throws -> WebResponse {
    let body = form.map { "\($0.0)=\(FormFields.encode($0.1))" }.joined(separator: "&")
    let own = ["Host": "parley.example.org", "Content-Type": "application/x-www-form-urlencoded"]
    return try await world.request("POST", path, own.merging(fields) { $1 }, body)
  }

  func register(
    _ redirect: String = redirect, method: String = "none", _ fields: [String: String] = [:]
  ) async throws -> JSONValue {
    let body: JSONValue = [
      "redirect_uris": [.string(redirect)], "client_name": "<b>Test & \"co\"</b>",
      "token_endpoint_auth_method": .string(method),
    ]
    let response = try await world.request(
      "POST", "/register", ["Host": "parley.example.org"].merging(fields) { $1 }, body.text)
    #expect(response.status == 201, "\(response.text)")
    return try #require(response.message)
  }

  static func query(client: String, _ changes: [String: String] = [:]) -> String {
    var fields = [
      "response_type": "code", "client_id": client, "redirect_uri": redirect, "state": "a state",
      "code_challenge": challenge, "code_challenge_method": "S256", "resource": issuer + "/mcp",
      "scope": "parley:read parley:post",
    ]
    for (name, value) in changes { fields[name] = value.isEmpty ? nil : value }
    return fields.sorted { $0.key < $1.key }.map { "\($0.key)=\(FormFields.encode($0.value))" }
      .joined(separator: "&")
  }

  // MARK: A browser

  /// The consent page as a browser has it: its hidden field and its cookie.
  struct Page {
    var response: WebResponse
    var sealed: String
    var cookie: String
  }

  func page(client: String, _ changes: [String: String] = [:]) async throws -> Page {
    let response = try await get("/authorize?" + Self.query(client: client, changes))
    #expect(response.status == 200, "\(response.text)")
    let text = response.text
    let start = try #require(text.firstRange(of: "name=\"request\" value=\"")).upperBound
    let sealed = String(text[start...].prefix { $0 != "\"" })
    let cookie = String(try #require(response.fields["set-cookie"]).prefix { $0 != ";" })
    return Page(response: response, sealed: sealed, cookie: cookie)
  }

  func answer(
    _ page: Page, passphrase: String = passphrase, decision: String = "allow", handle: String = "ada",
    scopes: [String] = ["parley:post"], _ fields: [String: String] = [:]
  ) async throws -> WebResponse {
    try await post(
      "/authorize/consent",
      [("request", page.sealed), ("passphrase", passphrase), ("handle", handle), ("decision", decision)]
        + scopes.map { ("scope", $0) },
      ["Cookie": "other=1; \(page.cookie)", "Origin": Self.issuer, "Sec-Fetch-Site": "same-origin"].merging(fields) {
        $1
      })
  }

  /// The fields of the address that a browser is sent to.
  static func location(_ response: WebResponse, redirect: String = redirect) throws -> FormFields {
    #expect(response.status == 303, "\(response.text)")
    let address = try #require(response.fields["location"])
    #expect(address.hasPrefix(redirect + "?"), "\(address)")
    return try #require(FormFields(address.dropFirst(redirect.count + 1)))
  }

  /// A code for a client, by consent.
  func code(client: String, scopes: [String] = ["parley:post"], handle: String = "ada") async throws -> String {
    let fields = try Self.location(try await answer(page(client: client), handle: handle, scopes: scopes))
    #expect(fields["iss"] == Self.issuer && fields["state"] == "a state")
    return try #require(fields["code"])
  }

  func exchange(
    _ code: String, client: String, _ changes: [String: String] = [:], _ fields: [String: String] = [:]
  ) async throws -> WebResponse {
    var form = [
      "grant_type": "authorization_code", "code": code, "client_id": client, "redirect_uri": Self.redirect,
      "code_verifier": Self.verifier, "resource": Self.issuer + "/mcp",
    ]
    for (name, value) in changes { form[name] = value.isEmpty ? nil : value }
    return try await post("/token", form.map { ($0.key, $0.value) }, fields)
  }

  func refresh(_ token: String, client: String, _ changes: [String: String] = [:]) async throws -> WebResponse {
    var form = ["grant_type": "refresh_token", "refresh_token": token, "client_id": client]
    for (name, value) in changes { form[name] = value.isEmpty ? nil : value }
    return try await post("/token", form.map { ($0.key, $0.value) })
  }

  /// Tokens of a client that registered and was let in.
  func login(scopes: [String] = ["parley:post"], handle: String = "ada") async throws -> Login {
    let client = try #require(try await register()["client_id"]?.string)
    let response = try await exchange(try await code(client: client, scopes: scopes, handle: handle), client: client)
    #expect(response.status == 200, "\(response.text)")
    return Login(
      client: client, access: try #require(response.message?["access_token"]?.string),
      refresh: try #require(response.message?["refresh_token"]?.string))
  }

  struct Login {
    var client: String
    var access: String
    var refresh: String
  }

  func call(_ tool: String, _ arguments: JSONValue = [:], token: String) async throws -> WebResponse {
    try await world.request(
      "POST", "/mcp",
      RemoteWorld.modernFields("tools/call", name: tool).merging(["Authorization": "Bearer \(token)"]) { $1 },
      RemoteWorld.modern("tools/call", ["name": .string(tool), "arguments": arguments]))
  }

  func status(of token: String) async throws -> Int { try await call("parley_status", token: token).status }
}
