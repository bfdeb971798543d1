/// An element of a stanza: a name in a namespace, attributes, child elements, and the text directly in it.
///
/// XMPP has no mixed content that matters here (RFC 6120, section 11), so text and children are kept apart.
struct XMLElement: Hashable, Sendable {
  struct Attribute: Hashable, Sendable {
    let name: String
    let value: String
  }

  let name: String
  let namespace: String
  private(set) var attributes: [Attribute]
  var children: [XMLElement]
  var text: String

  init(
    _ name: String, _ namespace: String, _ attributes: KeyValuePairs<String, String?> = [:], text: String = "",
    children: [XMLElement] = []
  ) {
    self.name = name
    self.namespace = namespace
    self.attributes = attributes.compactMap { pair in pair.value.map { Attribute(name: pair.key, value: $0) } }
    self.children = children
    self.text = text
  }

  init(name: String, namespace: String, attributes: [Attribute]) {
    self.name = name
    self.namespace = namespace
    self.attributes = attributes
    children = []
    text = ""
  }

  /// An attribute without a namespace, or `xml:lang`.
  subscript(name: String) -> String? {
    get { attributes.first { $0.name == name }?.value }
    set {
      attributes.removeAll { $0.name == name }
      if let newValue { attributes.append(Attribute(name: name, value: newValue)) }
    }
  }

  /// The first child of that name and namespace.
  func child(_ name: String, _ namespace: String) -> XMLElement? {
    children.first { $0.name == name && $0.namespace == namespace }
  }

  /// All children of that name and namespace.
  func all(_ name: String, _ namespace: String) -> [XMLElement] {
    children.filter { $0.name == name && $0.namespace == namespace }
  }

  func isA(_ name: String, _ namespace: String) -> Bool { self.name == name && self.namespace == namespace }

  // MARK: Writing

  /// The element as it is sent within a stream whose namespace is `jabber:client`.
  var bytes: [UInt8] {
    var output: [UInt8] = []
    write(into: &output, within: Namespace.client)
    return output
  }

  func write(into output: inout [UInt8], within parent: String) {
    output.append(UInt8(ascii: "<"))
    output.append(contentsOf: name.utf8)
    if namespace != parent { Self.write(Attribute(name: "xmlns", value: namespace), into: &output) }
    for attribute in attributes { Self.write(attribute, into: &output) }
    guard !text.isEmpty || !children.isEmpty else {
      output.append(contentsOf: "/>".utf8)
      return
    }
    output.append(UInt8(ascii: ">"))
    XMLText.escape(text, into: &output)
    for child in children { child.write(into: &output, within: namespace) }
    output.append(contentsOf: "</".utf8)
    output.append(contentsOf: name.utf8)
    output.append(UInt8(ascii: ">"))
  }

  private static func write(_ attribute: Attribute, into output: inout [UInt8]) {
    output.append(UInt8(ascii: " "))
    output.append(contentsOf: attribute.name.utf8)
    output.append(contentsOf: "=\"".utf8)
    XMLText.escapeAttribute(attribute.value, into: &output)
    output.append(UInt8(ascii: "\""))
  }
}

/// The namespaces of RFC 6120 and of the extensions that are spoken here.
enum Namespace {
  static let client = "jabber:client"
  static let streams = "http://etherx.jabber.org/streams"
  static let streamErrors = "urn:ietf:params:xml:ns:xmpp-streams"
  static let stanzaErrors = "urn:ietf:params:xml:ns:xmpp-stanzas"
  static let tls = "urn:ietf:params:xml:ns:xmpp-tls"
  static let sasl = "urn:ietf:params:xml:ns:xmpp-sasl"
  static let channelBinding = "urn:xmpp:sasl-cb:0"
  static let bind = "urn:ietf:params:xml:ns:xmpp-bind"
  static let management = "urn:xmpp:sm:3"
  static let streamLimits = "urn:xmpp:stream-limits:0"
  static let info = "http://jabber.org/protocol/disco#info"
  static let ping = "urn:xmpp:ping"
  static let version = "jabber:iq:version"
  static let time = "urn:xmpp:time"
  static let muc = "http://jabber.org/protocol/muc"
  static let mucUser = "http://jabber.org/protocol/muc#user"
  static let mucOwner = "http://jabber.org/protocol/muc#owner"
  static let mucAdmin = "http://jabber.org/protocol/muc#admin"
  static let form = "jabber:x:data"
  static let archive = "urn:xmpp:mam:2"
  static let resultSet = "http://jabber.org/protocol/rsm"
  static let forward = "urn:xmpp:forward:0"
  static let delay = "urn:xmpp:delay"
  static let stanzaID = "urn:xmpp:sid:0"
  static let occupantID = "urn:xmpp:occupant-id:0"
  static let hints = "urn:xmpp:hints"
  static let reply = "urn:xmpp:reply:0"
  static let fallback = "urn:xmpp:fallback:0"
  static let reference = "urn:xmpp:reference:0"
  static let parley = "urn:parley:message:1"
}
