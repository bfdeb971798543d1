/// The revisions of MCP that are spoken.
package enum Revision: String, CaseIterable, Comparable, Sendable {
  case november2024 = "2024-11-05"
  case march2025 = "2025-03-26"
  case june2025 = "2025-06-18"
  case november2025 = "2025-11-25"
  /// Stateless: every request carries its revision in `params._meta`; there is no `initialize`.
  case july2026 = "2026-07-28"

  package static let latestLegacy = Revision.november2025
  package static let modern = Revision.july2026

  package var isModern: Bool { self == .modern }

  /// Revisions are dates, so their text is their order.
  package static func < (a: Revision, b: Revision) -> Bool { a.rawValue < b.rawValue }

  /// The one to answer `initialize` with: the asked one where it has a handshake, else our latest that has.
  static func negotiated(_ asked: String) -> Revision {
    guard let revision = Revision(rawValue: asked), !revision.isModern else { return latestLegacy }
    return revision
  }
}
