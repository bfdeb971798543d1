import ParleyRuntime
import ParleyTLS

/// Where an XMPP backend's account and rooms are, and how it behaves.
public struct XMPPOptions: Sendable {
  /// An address that was configured in place of the domain's SRV records.
  struct Service: Hashable, Sendable {
    let host: String
    let port: Int
    /// TLS from the first byte (XEP-0368), otherwise STARTTLS.
    let isDirect: Bool
  }

  let service: Service?
  /// The account's domain, which the server's certificate must be for.
  public let domain: String
  let mucService: String
  let username: String
  let password: String
  /// The nickname in rooms; without it the handle of the first post.
  public var nick: String?
  let resource: String
  let tls: TLSOptions
  let tlsServerName: String
  let mechanisms: [Mechanism]
  /// Which account may go by which handle.
  let accounts: [Handle: JID]
  /// Whether rooms that are made here stand in the service's public list.
  let listsRooms: Bool
  /// Whether rooms that are made here let members in alone.
  let makesMembersOnly: Bool
  /// Who is made a member of rooms that are made here, and invited.
  let invited: [JID]
  /// What rooms that ask for a password are told, and rooms that are made here ask for.
  let roomPassword: String?
  /// How long the server may owe an answer before it counts as hanging.
  public var timeout: Duration
  /// How long nothing may come before the server is asked for a sign of life.
  public var pingInterval: Duration
  /// How long a room may be silent before we ask whether we are still in it (XEP-0410).
  public var selfPingInterval: Duration
  /// The largest stanza that the server takes, in bytes.
  public var largestStanza: Int
  /// Who is asked for the domain's SRV records, where not the system's name servers.
  var nameServer: ServiceRecords.NameServer?
  /// The password is the one that everybody knows.
  let hasDefaultPassword: Bool

  /// Options from settings that were validated against the schema. Throws `invalidRequest` for what no schema can say: a
  /// malformed address, mechanism or account.
  public init(_ settings: Settings) throws(SeamError) {
    service = try settings.stringIfSet("service").map(Self.service)
    domain = settings.string("domain").lowercased()
    mucService = (settings.stringIfSet("muc_service") ?? "muc.\(domain)").lowercased()
    username = settings.string("username")
    password = settings.string("password")
    hasDefaultPassword = password == "parleypass"
    nick = settings.stringIfSet("nick")
    resource = settings.string("resource")
    tls = TLSOptions(authorityFile: settings.stringIfSet("tls_ca_file"), protocols: ["xmpp-client"])
    tlsServerName = settings.stringIfSet("tls_server_name") ?? domain
    var wanted: [Mechanism] = []
    for name in settings.strings("mechanisms") {
      guard let mechanism = Mechanism(rawValue: name) else {
        throw Self.refusal(
          "mechanisms: '\(name)' is none of \(Mechanism.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      wanted.append(mechanism)
    }
    mechanisms = wanted
    var accounts: [Handle: JID] = [:]
    for text in settings.stringsIfSet("accounts") ?? [] {
      guard let mark = text.lastIndex(of: "="), let account = JID(String(text[text.index(after: mark)...])),
        !account.local.isEmpty, account.isBare
      else { throw Self.refusal("accounts: '\(text)' is not of the form handle=user@domain") }
      accounts[Handle(String(text[..<mark]))] = account
    }
    self.accounts = accounts
    listsRooms = settings.boolean("room_listed")
    makesMembersOnly = settings.boolean("room_members_only")
    invited = try (settings.stringsIfSet("invite") ?? []).map { text throws(SeamError) in
      guard let account = JID(text), !account.local.isEmpty, account.isBare else {
        throw Self.refusal("invite: '\(text)' is not of the form user@domain")
      }
      return account
    }
    roomPassword = settings.stringIfSet("room_password")
    timeout = .milliseconds(settings.integer("timeout_ms"))
    pingInterval = .milliseconds(settings.integer("ping_interval_ms"))
    selfPingInterval = .milliseconds(settings.integer("self_ping_interval_ms"))
    largestStanza = settings.integer("max_stanza_bytes")
    for (key, name) in [("domain", domain), ("muc_service", mucService)] {
      guard JID(name)?.description == name, !name.contains("@"), !name.contains("/"), !name.contains(" ") else {
        throw Self.refusal("\(key): '\(name)' is no domain")
      }
    }
    if username.contains(where: { "@/<>\"'&: ".contains($0) }) {
      throw Self.refusal("username: '\(username)' is no localpart; the domain has a key of its own")
    }
  }

  private static func refusal(_ cause: String) -> SeamError {
    SeamError(.invalidRequest, operation: "read backend_config", cause: cause)
  }

  private static func service(_ text: String) throws(SeamError) -> Service {
    let isDirect = text.hasPrefix("xmpps://")
    guard isDirect || text.hasPrefix("xmpp://") else {
      throw refusal("service: '\(text)' begins neither with xmpp:// nor with xmpps://")
    }
    var rest = text.dropFirst(isDirect ? 8 : 7)
    if rest.last == "/" { rest = rest.dropLast() }
    var port = isDirect ? 5223 : 5222
    let isBracketed = rest.first == "["
    if let colon = rest.lastIndex(of: ":"), !isBracketed || rest[rest.index(before: colon)] == "]" {
      guard let number = Int(rest[rest.index(after: colon)...]), (1...65_535).contains(number) else {
        throw refusal("service: '\(text)' has no valid port")
      }
      port = number
      rest = rest[..<colon]
    }
    if isBracketed, rest.last == "]" { rest = rest.dropFirst().dropLast() }
    guard !rest.isEmpty, !rest.contains("/"), !rest.contains("@") else {
      throw refusal("service: '\(text)' has no host")
    }
    return Service(host: String(rest), port: port, isDirect: isDirect)
  }

  /// The account.
  public var account: String { JID(local: username, domain: domain).description }

  /// The service that has the rooms.
  public var mucServiceName: String { mucService }

  /// What people should know where it lives.
  public var location: String { "xmpp:\(account), rooms at \(mucService)" }
}
