import ParleyRuntime

extension ParleyOptions {
  /// How configuration names the backend, and the keys of its `backend_config`.
  public static let description = BackendDescription(
    name: "parley",
    schema: SettingsSchema([
      Setting("url", .string(minimumBytes: 1), required: true, "The other Parley's HTTP door, https://host[:port]."),
      Setting("token", .secret, "A token of that door with the scope parley:relay."),
      Setting(
        "key_file", .path, "Where a token is kept that is asked for at the door, where that gives one to everybody."),
      Setting("key_label", .string(minimumBytes: 1), "What that token's handle becomes; needs key_file."),
      Setting("ca_file", .path, "PEM file of the authorities that may have signed its certificate."),
      Setting(
        "connect_timeout_ms", .integer(100...60_000), default: .integer(5_000),
        "How long it may take to accept a connection, in milliseconds."),
    ]), addressSetting: "url")

  /// Options from settings that were validated against the schema.
  ///
  /// Throws `invalidRequest` for an address that is none, and for a token that could be read on its way.
  public init(_ settings: Settings) throws(SeamError) {
    var url = settings.string("url")
    while url.hasSuffix("/") { url.removeLast() }
    self.init(url: url, token: settings.stringIfSet("token"))
    certificateAuthorities = settings.stringIfSet("ca_file")
    connectTimeout = .milliseconds(settings.integer("connect_timeout_ms"))
    switch (settings.stringIfSet("key_file"), settings.stringIfSet("key_label")) {
    case (let path?, let label?): ownKey = OwnKey(path: path, label: label)
    case (nil, nil): break
    default: throw Self.refused("key_file and key_label belong together")
    }
    try validate()
  }

  private func validate() throws(SeamError) {
    let isPlain = url.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } && !url.contains { "@?#\\".contains($0) }
    let host = url.split(separator: "/").dropFirst().first.map { Self.host(of: $0) } ?? ""
    guard isPlain, url.hasPrefix("https://") || url.hasPrefix("http://"), !host.isEmpty else {
      throw Self.refused("url must be https://host or https://host:port")
    }
    let isHere = host == "localhost" || host == "[::1]" || host.hasPrefix("127.")
    guard token == nil && ownKey == nil || isHere || url.hasPrefix("https://") else {
      throw Self.refused("url must be https where it leads to another machine: the token could be read on its way")
    }
    if let token, token.utf8.contains(where: { !(0x21...0x7e).contains($0) }) {
      throw Self.refused("token is no bearer token")
    }
  }

  private static func host(of authority: Substring) -> Substring {
    authority.hasPrefix("[")
      ? authority.prefix(through: authority.firstIndex(of: "]") ?? authority.index(before: authority.endIndex))
      : authority.prefix { $0 != ":" }
  }

  private static func refused(_ cause: String) -> SeamError {
    SeamError(.invalidRequest, operation: "read backend_config of parley", cause: cause)
  }
}
