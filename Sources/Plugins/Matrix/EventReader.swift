import ParleyRuntime

/// Reads events of the Client-Server API as messages; whatever a hostile sender puts into content, nothing is thrown.
struct EventReader: Sendable {
  /// A message and what the log needs to know of it beside.
  struct Entry: Sendable {
    let id: String
    let message: Message
    /// The key it was posted with, scoped to its account (S2).
    let key: KeyScope?
    /// Posted with a key that may have been used before: it may be a later copy.
    let mayBeCopy: Bool
  }

  /// A key, with the account whose it is.
  struct KeyScope: Hashable, Sendable {
    let account: String
    let key: String
  }

  /// Our own account: what it says of its handles is true.
  let account: String
  /// Handles that belong to accounts.
  let handles: [String: String]
  private let handleOfAccount: [String: String]
  /// For links to files: the homeserver's address.
  private let homeserver: String

  init(account: String, options: MatrixOptions) {
    self.account = account
    handles = options.handles
    homeserver = options.homeserver
    handleOfAccount = Dictionary(options.handles.sorted { $0.key < $1.key }.map { ($0.value, $0.key) }) { first, _ in
      first
    }
  }

  /// The event types that become messages.
  static let types = ["m.room.message", "m.sticker", reactionType]
  private static let reactionType = "m.reaction"
  private static let reactionBytes = 64

  /// The message that an event of a room is; nil for edits, state and everything else that is none. A reaction is a
  /// quiet one: nobody is told of it who does not look.
  func entry(_ event: JSONSlice, in room: Room) -> Entry? {
    let found = event.members(["type", "event_id", "sender", "content", "origin_server_ts", "unsigned", "state_key"])
    guard let type = found[0]?.string, Self.types.contains(type), found[6] == nil,
      let id = found[1]?.string, LogPlace.isEventID(id), let sender = found[2]?.string
    else { return nil }
    let content = found[3] ?? .emptyObject
    let relation = content.member("m.relates_to")
    if relation?.member("rel_type")?.isString("m.replace") == true { return nil }
    let reaction = type == Self.reactionType ? Self.reaction(relation) : nil
    guard type != Self.reactionType || reaction != nil else { return nil }
    let milliseconds = min(max(found[4]?.int ?? 0, 0), 253_402_300_799_999)
    let removal = found[5]?.member("redacted_because")
    let isOurs = content.member("app.parley.handle")?.string != nil
    let (handle, provenance) = self.sender(sender, claims: content.member("app.parley.handle")?.string)
    let reply = reaction?.event ?? Self.reply(relation, content)
    var attributes = Self.attributes(content)
    var text: String
    if let reaction {
      text = reaction.sign
      attributes = ["kind": Message.reactionKind, Message.quietAttribute: "1"]
    } else if let removal {
      text = Self.removed(removal)
      attributes["parley.redacted"] = "true"
    } else {
      text = Self.text(type, content, homeserver)
    }
    if isOurs {
      let prefix = EventWriter.prefix(handle)
      if content.member("app.parley.prefixed")?.bool == true, text.hasPrefix(exactly: prefix) {
        text = String(text.utf8.dropFirst(prefix.utf8.count)) ?? text
      }
    } else if reply != nil {
      text = Self.withoutFallback(text)
    }
    let message = Message(
      topic: room.topic, sender: handle, account: sender, provenance: provenance,
      instance: content.member("app.parley.instance")?.string, content: text.filterNUL(),
      timestamp: Timestamp.text(milliseconds), storedAt: milliseconds, id: MessageID(id),
      cursor: room.cursor(after: id), inReplyTo: reply.map { MessageID($0) },
      to: content.member("app.parley.to")?.string.map { Handle($0) }, attributes: attributes)
    return Entry(
      id: id, message: message,
      key: content.member("app.parley.key")?.string.map { KeyScope(account: sender, key: $0) },
      mayBeCopy: content.member("app.parley.recurring_key")?.bool == true)
  }

  /// What an account goes by that claims no handle.
  func handle(of account: String) -> Handle { Handle(handleOfAccount[account] ?? account) }

  /// The handle, and how sure it is (S12): an account speaks for itself; a handle that content claims is verified for
  /// our own account and where configuration gives the handle to the sending account.
  private func sender(_ account: String, claims claimed: String?) -> (Handle, Provenance) {
    guard let claimed, !claimed.isEmpty, claimed.utf8.count <= 255 else {
      return (handle(of: account), .verified)
    }
    let owner = handles[claimed] ?? (account == self.account ? account : nil)
    return (Handle(claimed), owner == account ? .verified : .claimed)
  }

  /// The sign of a reaction and the event that it is about (Client-Server API 1.11, `m.annotation`); nil where it was
  /// taken back, or is damaged.
  private static func reaction(_ relation: JSONSlice?) -> (sign: String, event: String)? {
    guard let relation, relation.member("rel_type")?.isString("m.annotation") == true,
      let event = relation.member("event_id")?.string, LogPlace.isEventID(event),
      let sign = relation.member("key")?.string, (1...reactionBytes).contains(sign.utf8.count)
    else { return nil }
    return (sign, event)
  }

  /// A thread's event without a reply of its own answers the thread's root; other replies name their event.
  private static func reply(_ relation: JSONSlice?, _ content: JSONSlice) -> String? {
    if let ours = content.member("app.parley.in_reply_to")?.string { return ours }
    guard let relation else { return nil }
    let direct = relation.member("m.in_reply_to")?.member("event_id")?.string
    if relation.member("rel_type")?.isString("m.thread") == true {
      let isFallback = relation.member("is_falling_back")?.bool == true
      if isFallback || direct == nil { return relation.member("event_id")?.string }
    }
    return direct
  }

  private static func attributes(_ content: JSONSlice) -> Attributes {
    guard let object = content.member("app.parley.attributes") else { return [:] }
    var list: [Attributes.Element] = []
    var bytes = 0
    for member in object.members {
      guard let value = member.value.string else { continue }
      let name = member.name
      bytes += name.utf8.count + value.utf8.count
      guard bytes <= 8 * 1024 else { break }
      list.append((name, value))
    }
    return Attributes(list)
  }

  private static func removed(_ removal: JSONSlice) -> String {
    let reason = removal.member("content")?.member("reason")?.string.map { ": " + $0 } ?? ""
    return "(this message was removed\(reason))"
  }

  private static func text(_ type: String, _ content: JSONSlice, _ homeserver: String) -> String {
    let body = content.member("body")?.string ?? ""
    let kind = content.member("msgtype")?.string ?? (type == "m.sticker" ? "m.sticker" : "m.text")
    switch kind {
    case "m.emote": return "* " + body
    case "m.image", "m.file", "m.audio", "m.video", "m.sticker":
      return file(String(kind.dropFirst(2)), body, content, homeserver)
    case "m.location": return "[location] \(body) \(content.member("geo_uri")?.string ?? "")"
    default: return body
    }
  }

  /// `[image] plan.png (image/png, 34 KiB) https://…`, then the caption where there is one.
  private static func file(_ kind: String, _ body: String, _ content: JSONSlice, _ homeserver: String) -> String {
    let name = content.member("filename")?.string ?? body
    let info = content.member("info")
    let type = info?.member("mimetype")?.string ?? "unknown type"
    let size = info?.member("size")?.int.map(Self.size) ?? "unknown size"
    let source = content.member("url")?.string ?? content.member("file")?.member("url")?.string
    var line = "[\(kind)] \(name) (\(type), \(size))"
    if let source { line += " " + link(source, homeserver) }
    return name == body || body.isEmpty ? line : line + "\n" + body
  }

  private static func size(_ bytes: Int64) -> String {
    switch bytes {
    case ..<1024: "\(max(bytes, 0)) bytes"
    case ..<(1 << 20): "\((bytes + 512) >> 10) KiB"
    default: "\((bytes + (1 << 19)) >> 20) MiB"
    }
  }

  /// Where a file can be had with an access token (Client-Server API 1.11, `/_matrix/client/v1/media/download`).
  private static func link(_ source: String, _ homeserver: String) -> String {
    let parts = source.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
    guard source.hasPrefix("mxc://"), parts.count == 2 else { return source }
    return "\(homeserver)/_matrix/client/v1/media/download/\(parts[0])/\(parts[1])"
  }

  /// Clients before version 1.13 of the specification repeat the message they answer as lines that begin with `> `.
  private static func withoutFallback(_ text: String) -> String {
    guard text.hasPrefix("> <") || text.hasPrefix("> * <") else { return text }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard let end = lines.firstIndex(where: { !$0.hasPrefix(">") }), lines[end].isEmpty else { return text }
    return lines[(end + 1)...].joined(separator: "\n")
  }
}

extension String {
  /// Whether it begins with these bytes; `hasPrefix` compares by canonical equivalence and whole characters.
  func hasPrefix(exactly prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }

  /// The seam knows no text with NUL; another program's event may have one where the database takes it.
  fileprivate func filterNUL() -> String {
    utf8.contains(0) ? String(decoding: utf8.filter { $0 != 0 }, as: UTF8.self) : self
  }
}
