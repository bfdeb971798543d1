import ParleyRuntime

extension XMPPOptions {
  /// How configuration names the backend, and the keys of its `backend_config`.
  public static let description = BackendDescription(
    name: "xmpp", aliases: ["local-xmpp", "jabber"],
    schema: SettingsSchema([
      Setting(
        "service", .string(minimumBytes: 1),
        "The server: xmpp://host[:port] (STARTTLS) or xmpps://host[:port] (TLS); without it the domain's SRV records."),
      Setting(
        "domain", .string(minimumBytes: 1), default: .string("parley.local"),
        "The account's domain; the server's certificate must be for it."),
      Setting(
        "muc_service", .string(minimumBytes: 1), "Where the rooms are; without it muc. in front of the domain."),
      Setting(
        "username", .string(minimumBytes: 1), default: .string("parley"), "The account's name, without a domain."),
      Setting("password", .secret, default: .string("parleypass"), "The account's password."),
      Setting(
        "nick", .string(minimumBytes: 1), "The nickname in rooms; without it the handle of who posts first."),
      Setting(
        "resource", .string(minimumBytes: 1), default: .string("parley"),
        "Names our sessions among the account's; a random part is appended."),
      Setting("tls_ca_file", .path, "The authorities to trust, PEM; without it the system's."),
      Setting(
        "tls_server_name", .string(minimumBytes: 1),
        "The name that the server's certificate must be for; without it the domain."),
      Setting(
        "mechanisms", .strings(minimumCount: 1), default: .strings(Mechanism.allCases.map(\.rawValue)),
        "How to authenticate, most wanted first; all of them only under TLS."),
      Setting(
        "accounts", .strings(minimumCount: 1),
        "Who goes by which handle, as handle=user@domain; such messages count as verified."),
      Setting(
        "room_listed", .boolean, default: .boolean(false),
        "Whether rooms made by Parley stand in the service's public list."),
      Setting(
        "room_members_only", .boolean, default: .boolean(false),
        "Whether rooms made by Parley let nobody in but members: its own account, and those of invite."),
      Setting(
        "invite", .strings(minimumCount: 1),
        "Accounts (user@domain) that are made members of rooms made by Parley, but for conversations, and invited."),
      Setting(
        "room_password", .secret,
        "The password of rooms that ask for one; rooms made by Parley then ask for it."),
      Setting(
        "timeout_ms", .integer(100...120_000), default: .integer(10_000),
        "A server that owes an answer longer than this counts as hanging, in milliseconds."),
      Setting(
        "ping_interval_ms", .integer(1000...3_600_000), default: .integer(60_000),
        "After so long a silence the server is asked for a sign of life, in milliseconds."),
      Setting(
        "self_ping_interval_ms", .integer(1000...86_400_000), default: .integer(300_000),
        "After so long a silence of a room we ask whether we are still in it, in milliseconds."),
      Setting(
        "max_stanza_bytes", .integer(32_768...16_777_216), default: .integer(262_144),
        "The largest stanza that the server takes, in bytes."),
    ]))
}
