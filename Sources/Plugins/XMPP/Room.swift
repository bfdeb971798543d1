import ParleyRuntime

/// What a room says of itself (service discovery).
struct RoomFeatures: Hashable, Sendable {
  let hasArchive: Bool
  /// It announces XEP-0359, so that its stanza ids may be trusted, and those of others are removed.
  let hasStanzaIDs: Bool
  /// It announces XEP-0421.
  let hasOccupantIDs: Bool
  /// Everyone sees the real addresses.
  let isNonAnonymous: Bool
  /// It lets members in alone.
  let isMembersOnly: Bool
  /// It asks for a password.
  let asksForPassword: Bool
  /// It outlives its occupants.
  let isPersistent: Bool

  init(_ info: XMLElement) {
    let names = Set(info.all("feature", Namespace.info).compactMap { $0["var"] })
    hasArchive = names.contains(Namespace.archive)
    hasStanzaIDs = names.contains(Namespace.stanzaID)
    hasOccupantIDs = names.contains(Namespace.occupantID)
    isNonAnonymous = names.contains("muc_nonanonymous")
    isMembersOnly = names.contains("muc_membersonly")
    asksForPassword = names.contains("muc_passwordprotected")
    isPersistent = names.contains("muc_persistent")
  }
}

/// One topic's room as this account sees it; confined to its loop. It outlives sessions.
//
// @unchecked: confined to the loop's thread.
final class Room: @unchecked Sendable {
  enum State {
    case out
    case joining
    case joined
  }

  struct Occupant: Hashable {
    let jid: JID?
    let occupantID: String?
  }

  let topic: Topic
  let jid: JID
  var state = State.out
  /// Our nickname while we are in it, or while we try.
  var nick = ""
  /// It asked for a password when we came.
  var asksForPassword = false
  /// Where it is made here, it lets members in alone, whatever configuration says of other rooms.
  var isRestricted = false
  /// The nickname stands for the account, not for a handle.
  var hasDefaultNick = true
  var occupants: [String: Occupant] = [:]
  var features: RoomFeatures?
  /// What the room said of that since we are in it, which counts more than an answer that was on its way.
  private var announced: Bool?
  /// The room exists, or did: it was joined, or its archive answered.
  var isKnown = false
  /// Nothing was in its log when we joined, and nothing came since.
  var isEmpty = false
  /// The newest entry that we know.
  var lastID: String?
  var lastHeard: LoopInstant
  /// When messages came live (our clock, milliseconds) whose time the archive has yet to tell.
  var arrivals: [String: Int64] = [:]
  let ledger = KeyLedger()
  /// Who wrote the messages seen last, by their address in the room, for answers (XEP-0461).
  private var authors: [String: String] = [:]
  private var authored: [String] = []
  var feeds: [Feed] = []
  /// Why we are not in it although somebody subscribes to it.
  var trouble: SeamError?

  /// Answers of the room to our presence: nil once we are in.
  let entering: Waiters<Entry>
  /// Ends of an attempt to join, for others that wait for it.
  let joins: Waiters<Void>

  /// What came of a presence of ours.
  enum Entry: Sendable {
    case entered(isNew: Bool)
    case refused(XMLElement)
    case ended(SeamError)
  }

  init(topic: Topic, jid: JID, loop: EventLoop) {
    self.topic = topic
    self.jid = jid
    entering = Waiters(loop: loop)
    joins = Waiters(loop: loop)
    lastHeard = loop.now
  }

  /// The room was configured anew (XEP-0045, section 15.6.2): who may see the real addresses.
  func takeStatus(_ codes: [String]) {
    if codes.contains("172") { announced = true }
    if codes.contains("173") || codes.contains("174") { announced = false }
  }

  /// Remembers the author of a message, for at least the last 512.
  func note(author: String?, of id: String) {
    guard let author, authors.updateValue(author, forKey: id) == nil else { return }
    authored.append(id)
    guard authored.count > 1024 else { return }
    for old in authored.prefix(512) { authors[old] = nil }
    authored.removeFirst(512)
  }

  /// Whom a reply to a message addresses: its author, else the room.
  func author(of id: String) -> String { authors[id] ?? jid.description }

  /// Everyone sees the real addresses.
  var isNonAnonymous: Bool { announced ?? features?.isNonAnonymous ?? false }

  /// The session ended, or we were removed: nothing that comes from it counts before we joined again.
  func leave() {
    state = .out
    announced = nil
    occupants = [:]
    isEmpty = false
  }

  /// Who sent a live message: the real address where the room shows it, else the occupant id; never the nickname.
  func account(ofLive stanza: XMLElement) -> String? {
    guard let from = stanza["from"].flatMap({ JID($0) }) else { return nil }
    if isNonAnonymous { return occupants[from.resource]?.jid?.bare.description }
    return occupantID(of: stanza)
  }

  /// Who sent an archived message. Of several real addresses in one message none is believed.
  func account(ofArchived stanza: XMLElement) -> String? {
    if isNonAnonymous {
      let addresses = stanza.all("x", Namespace.mucUser).flatMap { $0.all("item", Namespace.mucUser) }.compactMap {
        $0["jid"]
      }
      if addresses.count == 1, let jid = JID(addresses[0]) { return jid.bare.description }
    }
    return occupantID(of: stanza)
  }

  private func occupantID(of stanza: XMLElement) -> String? {
    let ids = stanza.all("occupant-id", Namespace.occupantID).compactMap { $0["id"] }
    guard features?.hasOccupantIDs == true, ids.count == 1 else { return nil }
    return "occupant-id:\(ids[0])"
  }

  /// The id that the room itself gave to a stanza (XEP-0359): those that others put in do not count.
  func stanzaID(of stanza: XMLElement) -> String? {
    guard features?.hasStanzaIDs == true else { return nil }
    let ids = stanza.all("stanza-id", Namespace.stanzaID).filter { $0["by"].flatMap { JID($0) } == jid }.compactMap {
      $0["id"]
    }
    return ids.count == 1 ? ids[0] : nil
  }
}
