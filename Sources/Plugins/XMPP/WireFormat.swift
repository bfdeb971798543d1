import ParleyRuntime
import ParleyTLS

/// Drafts and messages as stanzas: a body that everybody reads, and beside it one element of ours, in which everything
/// stands exactly (as JSON of ASCII characters alone, which XML can always carry).
enum WireFormat {
  /// What a body says where there is no text.
  static let noText = "(no text)"

  /// Who is named by `@` in a draft, for clients that highlight it (XEP-0372).
  struct Mention: Hashable {
    let range: Range<Int>
    let account: String
  }

  /// A draft as it is sent, at a time in milliseconds since 1970. `isMarked` says that another copy may exist, `isFirst`
  /// that the room held nothing before, `answered` who wrote the message that it answers.
  static func stanza(
    _ draft: Draft, to room: JID, at time: Int64, originID: String, isMarked: Bool, isFirst: Bool,
    mentions: [Mention] = [], answered author: String? = nil
  ) -> XMLElement {
    let body = body(of: draft.content)
    var stanza = XMLElement(
      "message", Namespace.client, ["to": room.description, "type": "groupchat", "id": originID],
      children: [
        XMLElement("body", Namespace.client, text: body),
        XMLElement("origin-id", Namespace.stanzaID, ["id": originID]),
      ])
    var writer = JSONWriter(capacity: 128)
    writer.beginObject()
    func field(_ name: String, _ value: String) {
      writer.key(name)
      writer.string(value)
    }
    field("handle", draft.author.handle.name)
    field("instance", draft.author.instance)
    writer.key("at")
    writer.int(time)
    if let target = draft.to { field("to", target.name) }
    if let answered = draft.inReplyTo { field("in_reply_to", answered.text) }
    if !draft.attributes.isEmpty {
      writer.key("attributes")
      writer.attributes(draft.attributes)
    }
    if body != draft.content || !body.utf8.elementsEqual(draft.content.utf8) { field("text", draft.content) }
    if isMarked {
      writer.key("keyed")
      writer.bool(true)
    }
    if isFirst {
      writer.key("first")
      writer.bool(true)
    }
    writer.endObject()
    stanza.children.append(XMLElement("parley", Namespace.parley, text: ascii(writer.bytes)))
    if let answered = draft.inReplyTo?.text, !answered.isEmpty, answered.utf8.count <= 255, XMLText.isFaithful(answered)
    {
      stanza.children.append(XMLElement("reply", Namespace.reply, ["to": author ?? room.description, "id": answered]))
    }
    for mention in mentions {
      stanza.children.append(
        XMLElement(
          "reference", Namespace.reference,
          [
            "type": "mention", "begin": String(mention.range.lowerBound), "end": String(mention.range.upperBound),
            "uri": "xmpp:\(mention.account)",
          ]))
    }
    return stanza
  }

  /// What people read.
  static func body(of content: String) -> String {
    if XMLText.isFaithful(content), !content.isEmpty { return content }
    let readable = XMLText.readable(content)
    return readable.isEmpty ? noText : readable
  }

  /// JSON with every character outside ASCII, and the one that terminals act on, as an escape.
  private static func ascii(_ json: [UInt8]) -> String {
    guard json.contains(where: { $0 >= 0x7f }) else { return String(decoding: json, as: UTF8.self) }
    var output: [UInt8] = []
    output.reserveCapacity(json.count * 2)
    for unit in String(decoding: json, as: UTF8.self).utf16 {
      if unit < 0x7f {
        output.append(UInt8(truncatingIfNeeded: unit))
      } else {
        output += "\\u".utf8
        output += [UInt8(truncatingIfNeeded: unit >> 8), UInt8(truncatingIfNeeded: unit)].hexadecimal.utf8
      }
    }
    return String(decoding: output, as: UTF8.self)
  }

  // MARK: Reading

  /// What a stanza of a room says.
  struct Content: Hashable {
    var sender: Handle?
    var instance: String?
    var text: String
    var inReplyTo: MessageID?
    var to: Handle?
    var attributes: Attributes = [:]
    var originID: String?
    /// When it was sent, by its author's clock: milliseconds since 1970.
    var sentAt: Int64?
    /// Another copy may exist.
    var isMarked = false
    /// The room held nothing before, by its author's knowledge.
    var isFirst = false
    /// It carries our element.
    var isParley = false
  }

  /// What stands for a message that is encrypted end to end.
  static let unreadable = "[an encrypted message, which Parley cannot read: turn OMEMO off in this room]"

  /// The content of a stanza; nil where it is no message to read (a subject, a marker), or the correction of an earlier
  /// one (XEP-0308), which stays what it was for those who have read it.
  static func content(of stanza: XMLElement) -> Content? {
    guard stanza.name == "message", stanza["type"] == "groupchat",
      stanza.child("replace", "urn:xmpp:message-correct:0") == nil
    else { return nil }
    let originID = stanza.child("origin-id", Namespace.stanzaID)?["id"] ?? stanza["id"]
    let isEncrypted = stanza.children.contains {
      $0.isA("encrypted", "eu.siacs.conversations.axolotl") || $0.isA("encrypted", "urn:xmpp:omemo:2")
        || $0.isA("x", "jabber:x:encrypted") || $0.isA("openpgp", "urn:xmpp:openpgp:0")
    }
    if isEncrypted { return Content(text: unreadable, originID: originID) }
    guard let body = stanza.child("body", Namespace.client)?.text else { return nil }
    let answered = stanza.child("reply", Namespace.reply)?["id"].map { MessageID($0) }
    guard let ours = stanza.child("parley", Namespace.parley), let json = try? JSONSlice(ours.text),
      json.kind == .object
    else {
      return Content(text: withoutQuotation(body, stanza), inReplyTo: answered, originID: originID)
    }
    var content = Content(text: body, inReplyTo: json.member("in_reply_to")?.string.map { MessageID($0) })
    content.sender = json.member("handle")?.string.map { Handle($0) }
    content.instance = json.member("instance")?.string
    content.to = json.member("to")?.string.map { Handle($0) }
    content.originID = originID
    content.sentAt = json.member("at")?.int
    content.isMarked = json.member("keyed")?.bool ?? false
    content.isFirst = json.member("first")?.bool ?? false
    content.isParley = true
    // People and agents must have read the same, so the exact text counts only where the body is its readable form.
    if let text = json.member("text")?.string, self.body(of: text) == body { content.text = text }
    content.attributes = json.member("attributes")?.attributes ?? [:]
    return content
  }

  /// The body without the quotation that is there for clients that do not know replies (XEP-0461, XEP-0428).
  private static func withoutQuotation(_ body: String, _ stanza: XMLElement) -> String {
    let fallback = stanza.all("fallback", Namespace.fallback).first { $0["for"] == Namespace.reply }
    guard let range = fallback?.child("body", Namespace.fallback), let start = range["start"].flatMap({ Int($0) }),
      let end = range["end"].flatMap({ Int($0) })
    else { return body }
    let scalars = Array(body.unicodeScalars)
    guard start >= 0, start <= end, end <= scalars.count else { return body }
    var rest = String.UnicodeScalarView()
    rest.append(contentsOf: scalars[..<start])
    rest.append(contentsOf: scalars[end...])
    return String(rest)
  }

  // MARK: Keys

  /// The origin id of a key: the same for every process of the account, so that a copy is known by it.
  static func originID(of key: DraftKey) -> String { "p-" + SHA256.hexadecimal(key.text, digits: 40) }

  /// What two posts of one key must have in common.
  static func digest(content: String, inReplyTo: MessageID?, to: Handle?, attributes: Attributes) -> [UInt8] {
    var bytes: [UInt8] = []
    func add(_ text: String?) {
      bytes += (text.map { String($0.utf8.count) } ?? "-").utf8
      bytes.append(UInt8(ascii: ":"))
      bytes += (text ?? "").utf8
    }
    add(content)
    add(inReplyTo?.text)
    add(to?.name)
    for (name, value) in attributes {
      add(name)
      add(value)
    }
    return Digest.sha256.hash(bytes)
  }

  static func digest(of draft: Draft) -> [UInt8] {
    digest(content: draft.content, inReplyTo: draft.inReplyTo, to: draft.to, attributes: draft.attributes)
  }

  static func digest(of content: Content) -> [UInt8] {
    digest(content: content.text, inReplyTo: content.inReplyTo, to: content.to, attributes: content.attributes)
  }

  /// Where `@handle` stands in a text, in characters of Unicode, for handles whose account is known.
  static func mentions(in text: String, accounts: [Handle: String]) -> [Mention] {
    var found: [Mention] = []
    let scalars = Array(text.unicodeScalars)
    for handle in Mentions.handles(in: text) {
      guard let account = accounts[handle] else { continue }
      let mark = Array("@\(handle.name)".unicodeScalars)
      guard let start = scalars.indices.first(where: { scalars[$0...].starts(with: mark) }) else { continue }
      found.append(Mention(range: start..<start + mark.count, account: account))
    }
    return found
  }
}
