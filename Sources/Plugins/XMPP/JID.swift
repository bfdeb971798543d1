/// A Jabber id (RFC 7622): localpart, domain, resource, compared after lower-casing what is not the resource.
struct JID: Hashable, Sendable, CustomStringConvertible {
  let local: String
  let domain: String
  let resource: String

  /// Splits a text; nil where it has no domain.
  init?(_ text: String) {
    let slash = text.firstIndex(of: "/")
    let bare = slash.map { text[..<$0] } ?? text[...]
    resource = slash.map { String(text[text.index(after: $0)...]) } ?? ""
    let at = bare.firstIndex(of: "@")
    local = at.map { bare[..<$0].lowercased() } ?? ""
    domain = (at.map { bare[bare.index(after: $0)...] } ?? bare).lowercased()
    guard !domain.isEmpty, text.utf8.count <= 3071 else { return nil }
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
