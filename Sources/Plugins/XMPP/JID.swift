/// A Jabber id (RFC 7622): localpart, domain, resource, compared after lower-casing what is not the resource.
struct JID: Hashable, Sendable, CustomStringConvertible {
  let local: String
  let domain: String
  let resource: String

  /// Splits a text; nil where it has no domain.
  init?(_ text: String) {
    let bytes = text.utf8
    guard bytes.count <= 3071 else { return nil }
    let slash = bytes.firstIndex(of: UInt8(ascii: "/"))
    let bare = bytes[..<(slash ?? bytes.endIndex)]
    let at = bare.firstIndex(of: UInt8(ascii: "@"))
    local = at.map { String(text[..<$0]).lowercased() } ?? ""
    domain = String(text[(at.map { bytes.index(after: $0) } ?? bytes.startIndex)..<bare.endIndex]).lowercased()
    resource = slash.map { String(text[bytes.index(after: $0)...]) } ?? ""
    guard !domain.isEmpty else { return nil }
  }

  init(local: String, domain: String, resource: String = "") {
    self.local = local
    self.domain = domain
    self.resource = resource
  }

  /// Without the resource.
  var bare: JID { JID(local: local, domain: domain) }

  var isBare: Bool { resource.isEmpty }

  func with(resource: String) -> JID { JID(local: local, domain: domain, resource: resource) }

  var description: String { (local.isEmpty ? "" : local + "@") + domain + (resource.isEmpty ? "" : "/" + resource) }
}
