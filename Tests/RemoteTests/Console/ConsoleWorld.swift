import ParleyCoordination
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRemote

/// A door with a console, its owner, and a browser that sends what a person would. Confined to its loop.
final class ConsoleWorld: @unchecked Sendable {
  static let passphrase = "correct horse battery staple"
  static let approvals = ApprovalRules(
    topic: Topic("approvals"), approvers: [Handle("ann")], secret: "0123456789abcdef", lifetime: .seconds(600))

  let world: RemoteWorld
  let store: FileAuthStore
  private let folder: TemporaryDirectory

  private init(_ world: RemoteWorld, _ store: FileAuthStore, _ folder: TemporaryDirectory) {
    self.world = world
    self.store = store
    self.folder = folder
  }

  static func use(
    _ adjust: @escaping @Sendable (inout ConsoleOptions, inout DoorOptions) -> Void = { _, _ in },
    _ body: @escaping @Sendable (ConsoleWorld) async throws -> Void
  ) throws {
    let folder = try TemporaryDirectory()
    let store = try FileAuthStore(folder.path("auth.store"))
    try store.changeNow { $0.setOwner("hash of \(passphrase)") }
    try RemoteWorld.use(adjusting: { options, loop in
      options.authenticator = StoredTokens(loop: loop, store: store, address: nil, configured: nil)
      options.owner.verify = { "hash of \($0)" == $1 }
      options.revocationInterval = .milliseconds(20)
      var console = ConsoleOptions(store: store, handle: Handle("ann"), isSecure: false)
      console.approvals = approvals
      adjust(&console, &options)
      options.console = console
    }) { world async throws in try await body(ConsoleWorld(world, store, folder)) }
  }

  // MARK: A browser

  /// What a browser has after it logged in.
  struct Login {
    var cookie: String
    /// What its forms carry.
    var token: String
  }

  func get(_ path: String, _ login: Login? = nil) async throws -> WebResponse {
    try await world.request("GET", path, login.map { ["Cookie": "other=1; \($0.cookie)"] } ?? [:])
  }

  /// Sends a form as a browser does from a page of the door's own.
  func send(
    _ path: String, _ form: [(String, String)], _ login: Login?, _ fields: [String: String] = [:]
  ) async throws -> WebResponse {
    let token = login.map { [("token", $0.token)] } ?? []
    let body = (token + form).map { "\($0.0)=\(FormFields.encode($0.1))" }.joined(separator: "&")
    var own = [
      "Content-Type": "application/x-www-form-urlencoded", "Origin": "http://\(world.authority)",
      "Sec-Fetch-Site": "same-origin",
    ]
    if let login { own["Cookie"] = login.cookie }
    return try await world.request("POST", path, own.merging(fields) { $1 }, body)
  }

  /// The login page's own secret: its cookie and its token.
  func loginPage() async throws -> Login {
    let page = try await get("/console/login")
    #expect(page.status == 200, "\(page.text)")
    return Login(cookie: try Self.cookie(of: page), token: try Self.token(in: page))
  }

  func answer(_ passphrase: String, _ fields: [String: String] = [:]) async throws -> WebResponse {
    try await send("/console/login", [("passphrase", passphrase)], try await loginPage(), fields)
  }

  func login() async throws -> Login {
    let entered = try await answer(Self.passphrase)
    #expect(entered.status == 303 && entered.fields["location"] == "/console", "\(entered.text)")
    let cookie = try Self.cookie(of: entered)
    let page = try await get("/console", Login(cookie: cookie, token: ""))
    #expect(page.status == 200, "\(page.text)")
    return Login(cookie: cookie, token: try Self.token(in: page))
  }

  /// Opens the stream of a page.
  func listen(_ login: Login) async throws -> WebClient {
    let client = try await world.begin("GET", "/console/events", ["Cookie": login.cookie])
    let head = try await client.head()
    #expect(head.status == 200 && head.isStream)
    return client
  }

  static func cookie(of response: WebResponse) throws -> String {
    String(try #require(response.fields["set-cookie"]).prefix { $0 != ";" })
  }

  static func token(in page: WebResponse) throws -> String {
    let text = page.text
    let start = try #require(text.firstRange(of: "name=\"token\" value=\"")).upperBound
    return String(text[start...].prefix { $0 != "\"" })
  }
}
