import ParleyRuntime

/// Who may enter rooms (XEP-0045, sections 5.2 and 9).
extension XMPPBackend {
  /// Makes a topic's room private to these accounts (`user@domain`) and ours: for members only, and not in the
  /// service's list. Makes the room where there is none; those who were members stay, those who become one are invited.
  /// Every member may bring others in, where the service can let them.
  ///
  /// Throws `forbidden` where the room is somebody else's and not for members only, or does not let its members bring
  /// others in; `unsupported` where the service has no such rooms.
  public func restrict(_ topic: Topic, to accounts: [String], deadline: LoopInstant) async throws(SeamError) {
    let members = try accounts.map { account throws(SeamError) in try Self.account(account) }
    let room = room(of: topic)
    room.isRestricted = true
    try await enter(room, until: deadline)
    let session = try connected("restrict \(room.jid)")
    // Members first, so that whoever shall stay is not thrown out.
    try await admit(members, to: room, session, until: deadline)
    guard room.features?.isMembersOnly != true else { return }
    // It may have been closed since we came into it.
    room.features = try await features(of: room, until: deadline)
    guard room.features?.isMembersOnly != true else { return }
    try await submit(restriction(of: room), to: room, session, until: deadline)
    room.features = try await features(of: room, until: deadline)
  }

  /// Makes an account a member of a topic's room, which must exist, and invites it. Throws `forbidden` where we may not.
  public func admit(_ account: String, to topic: Topic, deadline: LoopInstant) async throws(SeamError) {
    let member = try Self.account(account)
    let session = try connected("admit \(account)")
    try await admit([member], to: room(of: topic), session, until: deadline)
  }

  /// Takes the membership of an account in a topic's room, which then does not let it in any more where it is for
  /// members only. Throws `forbidden` where we may not.
  public func dismiss(_ account: String, from topic: Topic, deadline: LoopInstant) async throws(SeamError) {
    let member = try Self.account(account)
    let room = room(of: topic)
    try await affiliate([member], as: "none", in: room, connected("dismiss \(account)"), until: deadline)
  }

  private static func account(_ text: String) throws(SeamError) -> JID {
    guard let account = JID(text), !account.local.isEmpty, account.isBare else {
      throw SeamError(.invalidRequest, operation: "name a member", cause: "'\(text)' is not of the form user@domain")
    }
    return account
  }

  // MARK: Rooms of ours

  /// Gives a room that we made what a log needs: it outlives its occupants, is archived, and shows who is who; and lets
  /// those in who shall.
  func configure(_ room: Room, _ session: XMPPSession, until deadline: LoopInstant) async throws(SeamError) {
    var wanted = [
      "muc#roomconfig_persistentroom": "1", "muc#roomconfig_whois": "anyone", "muc#roomconfig_enablearchiving": "1",
      "muc#roomconfig_mam": "1", "mam": "1", "muc#roomconfig_publicroom": options.listsRooms ? "1" : "0",
      "muc#roomconfig_roomname": XMLText.readable(room.topic.name),
    ]
    if room.isRestricted || options.makesMembersOnly { wanted.merge(restriction(of: room)) { $1 } }
    if let password = options.roomPassword {
      // Where a form has no such switch, as on Prosody, a secret alone turns it on.
      wanted["muc#roomconfig_passwordprotectedroom"] = "1"
      wanted["muc#roomconfig_roomsecret"] = password
    }
    try await submit(wanted, to: room, session, until: deadline)
    // Conversations have members of their own. Into participants' own topics others put invitations, which is no reason
    // to call people there.
    guard !room.topic.name.hasPrefix("~") else { return }
    try await admit(options.invited, to: room, session, calls: !room.topic.isReserved, until: deadline)
  }

  /// Members of a conversation bring others in by invitations, which make members of them (XEP-0045, section 7.8.2);
  /// Prosody has a field of its own for that.
  private func restriction(of room: Room) -> [String: String] {
    var wanted = ["muc#roomconfig_membersonly": "1", "muc#roomconfig_publicroom": "0"]
    guard room.isRestricted else { return wanted }
    wanted["muc#roomconfig_allowinvites"] = "1"
    wanted["{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites"] = "1"
    return wanted
  }

  /// Sends what a room's form has of the wanted fields. Throws `unsupported` where it lacks one that keeps others out.
  private func submit(
    _ wanted: [String: String], to room: Room, _ session: XMPPSession, until deadline: LoopInstant
  ) async throws(SeamError) {
    let operation = "configure \(room.jid)"
    let query = XMLElement("query", Namespace.mucOwner)
    let answer = try await session.request("get", to: room.jid, query, operation, until: deadline)
    let offered =
      answer.child("query", Namespace.mucOwner)?.child("x", Namespace.form)?.all("field", Namespace.form)
      .compactMap { $0["var"] } ?? []
    for field in ["muc#roomconfig_membersonly", "muc#roomconfig_roomsecret"]
    where wanted[field] != nil && !offered.contains(field) {
      throw SeamError(
        .unsupported, operation: operation, cause: "the service does not let rooms be closed to others: no \(field)")
    }
    func field(_ name: String, _ value: String) -> XMLElement {
      XMLElement("field", Namespace.form, ["var": name], children: [XMLElement("value", Namespace.form, text: value)])
    }
    let fields = offered.compactMap { name in wanted[name].map { field(name, $0) } }
    let form = XMLElement(
      "x", Namespace.form, ["type": "submit"],
      children: [field("FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig")] + fields)
    _ = try await session.request(
      "set", to: room.jid, XMLElement("query", Namespace.mucOwner, children: [form]), operation, until: deadline)
  }

  // MARK: Members

  /// Makes accounts members that are not, without taking anything from owners and administrators, and invites them if
  /// `calls`.
  ///
  /// Who may not change the list of members may bring somebody in by the invitation, where the room allows that.
  private func admit(
    _ accounts: [JID], to room: Room, _ session: XMPPSession, calls: Bool = true, until deadline: LoopInstant
  ) async throws(SeamError) {
    guard !accounts.isEmpty else { return }
    let known = try await members(of: room, session, until: deadline)
    let new = accounts.filter { $0 != session.jid.bare && !known.contains($0) }
    guard !new.isEmpty else { return }
    var refusal: SeamError?
    do throws(SeamError) { try await affiliate(new, as: "member", in: room, session, until: deadline) } catch {
      guard error.code == .forbidden else { throw error }
      refusal = error
    }
    if calls || refusal != nil { try invite(new, to: room, session) }
    // The room takes one stanza after the other: what the invitations brought can be seen now.
    guard let refusal, try await !members(of: room, session, until: deadline).isSuperset(of: new) else { return }
    throw refusal
  }

  /// Everyone whom the room knows as owner, administrator or member.
  private func members(
    of room: Room, _ session: XMPPSession, until deadline: LoopInstant
  ) async throws(SeamError) -> Set<JID> {
    var known: Set<JID> = []
    for affiliation in ["owner", "admin", "member"] {
      let item = XMLElement("item", Namespace.mucAdmin, ["affiliation": affiliation])
      let answer = try await session.request(
        "get", to: room.jid, XMLElement("query", Namespace.mucAdmin, children: [item]),
        "ask who is \(affiliation) of \(room.jid)", until: deadline)
      let items = answer.child("query", Namespace.mucAdmin)?.all("item", Namespace.mucAdmin) ?? []
      known.formUnion(items.compactMap { $0["jid"].flatMap { JID($0) }?.bare })
    }
    return known
  }

  private func invite(_ accounts: [JID], to room: Room, _ session: XMPPSession) throws(SeamError) {
    for account in accounts {
      let reason = XMLElement("reason", Namespace.mucUser, text: "\(options.account) speaks with you here")
      let invitation = XMLElement("invite", Namespace.mucUser, ["to": account.description], children: [reason])
      try session.send(
        XMLElement(
          "message", Namespace.client, ["to": room.jid.description],
          children: [XMLElement("x", Namespace.mucUser, children: [invitation])]))
    }
  }

  private func affiliate(
    _ accounts: [JID], as affiliation: String, in room: Room, _ session: XMPPSession, until deadline: LoopInstant
  ) async throws(SeamError) {
    let items = accounts.map {
      XMLElement("item", Namespace.mucAdmin, ["affiliation": affiliation, "jid": $0.description])
    }
    _ = try await session.request(
      "set", to: room.jid, XMLElement("query", Namespace.mucAdmin, children: items),
      "change who may enter \(room.jid)", until: deadline)
  }

  // MARK: Rooms of others

  /// Why a room does not let us in, in words that say what to do about it.
  func refusal(_ stanza: XMLElement, of room: Room) -> SeamError {
    let operation = "join \(room.jid)"
    let cause: String
    switch stanza.errorCondition {
    case "registration-required":
      cause =
        "the room is for members only and \(options.account) is none: let an owner or administrator of the room "
        + "make it a member"
    case "forbidden": cause = "\(options.account) is banned from the room"
    case "not-authorized":
      cause =
        "the room asks for a password, "
        + (options.roomPassword == nil
          ? "give backend_config.room_password" : "and it is not backend_config.room_password")
    case "not-allowed":
      cause = "there is no such room, and \(options.account) may not make one at \(options.mucService)"
    default: return SeamError(stanza: stanza, operation: operation)
    }
    return SeamError(.forbidden, operation: operation, cause: cause)
  }

  /// What stands beside the archive's own words where it does not let us read.
  func explained(_ error: SeamError, of room: Room) -> SeamError {
    guard error.code == .forbidden, room.features?.isMembersOnly == true else { return error }
    return SeamError(
      .forbidden, operation: error.operation,
      cause: "\(error.cause); the room is for members only and \(options.account) is none")
  }
}
