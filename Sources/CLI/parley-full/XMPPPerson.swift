import ParleyCommands
import ParleyRuntime
import ParleyXMPP

/// A person at an XMPP client, by plain stanzas.
actor XMPPPerson: DemoPerson {
  nonisolated let loop: EventLoop
  private let accounts: DemoAccounts
  private let password: String
  private var client: XMPPVisitor?
  /// The account's name, by which the person goes in the room.
  private var nick: String { DemoPeople.handle(of: accounts.person) }

  init(loop: EventLoop, accounts: DemoAccounts, password: String) {
    self.loop = loop
    self.accounts = accounts
    self.password = password
  }

  /// What is configured of an account's server. The address is `xmpp://` or `xmpps://host:port`, and may end with the
  /// name of the rooms' service, where that is not `muc.` and the domain.
  static func settings(_ accounts: DemoAccounts, of account: String) -> JSONObject {
    var settings: JSONObject = ["username": .string(DemoPeople.handle(of: account))]
    let domain = (account.split(separator: "@").dropFirst().first ?? accounts.agents.split(separator: "@").last)
    if let domain { settings["domain"] = .string(String(domain)) }
    if let url = accounts.url {
      let parts = url.split(separator: "/", omittingEmptySubsequences: false)
      settings["service"] = .string(parts.prefix(3).joined(separator: "/"))
      if parts.count == 4, !parts[3].isEmpty { settings["muc_service"] = .string(String(parts[3])) }
    }
    if let path = accounts.authorities { settings["tls_ca_file"] = .string(path) }
    return settings
  }

  func logIn(deadline: LoopInstant) async throws(SeamError) -> String {
    var settings = Settings(defaultsOf: XMPPOptions.description.schema)
    for (key, value) in Self.settings(accounts, of: accounts.person).members {
      if case .string(let text) = value { settings[key] = .string(text) }
    }
    settings["password"] = .string(password)
    let client = XMPPVisitor(loop: loop, options: try XMPPOptions(settings))
    self.client = client
    return try await client.connect(deadline: deadline)
  }

  func enter(_ topic: Topic, deadline: LoopInstant) async throws(SeamError) {
    try await connected().enter(topic, as: nick, deadline: deadline)
  }

  func nextLine(deadline: LoopInstant) async throws(SeamError) -> DemoLine {
    let line = try await connected().nextLine(deadline: deadline)
    return DemoLine(id: line.id, sender: line.sender, text: line.text)
  }

  func say(_ text: String, inReplyTo line: DemoLine, deadline: LoopInstant) async throws(SeamError) {
    try await connected().say(
      text, inReplyTo: XMPPVisitor.Line(id: line.id, sender: line.sender, text: line.text))
  }

  func leave() async { await client?.close() }

  private func connected() throws(SeamError) -> XMPPVisitor {
    guard let client else { throw SeamError(.unavailable, operation: "speak", cause: "not logged in") }
    return client
  }
}
