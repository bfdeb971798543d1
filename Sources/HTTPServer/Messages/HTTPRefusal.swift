/// Why a request is not served: a status, and a word and a sentence for its JSON body.
package struct HTTPRefusal: Error, Hashable, Sendable {
  package let status: Int
  /// Stable, for programs.
  package let code: String
  /// For people; nothing that came from outside is in it.
  package let reason: String

  package init(_ status: Int, _ code: String, _ reason: String) {
    self.status = status
    self.code = code
    self.reason = reason
  }

  static func malformed(_ reason: String) -> Self { Self(400, "badRequest", reason) }
}
