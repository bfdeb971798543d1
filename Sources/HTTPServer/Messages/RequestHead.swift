import ParleyRuntime

/// The request line and header section of a request that is well formed.
package struct RequestHead: Sendable {
  /// How the body's end is told (RFC 9112 section 6.3).
  package enum Framing: Hashable, Sendable {
    case none
    case length(Int)
    case chunked
  }

  package let method: HTTPMethod
  /// As sent: percent-encoding is not resolved, so that no two spellings reach one route.
  package let path: String
  /// What follows the first question mark, as sent.
  package let query: String?
  /// The request is HTTP/1.0: no chunks and no interim responses may be sent.
  package let isOld: Bool
  /// Host and port that the request is for, in lower case; empty only where an HTTP/1.0 client does not say.
  package let authority: String
  package let fields: HeaderFields
  package let framing: Framing
  /// The client wants to send another request on this connection.
  package let keepsAlive: Bool
  /// The client waits for a word before it sends the body.
  package let expectsContinue: Bool

  /// The host without its port, an IPv6 address without its brackets.
  package var host: String {
    let bytes = authority.utf8
    if bytes.first == UInt8(ascii: "[") {
      return String(Substring(bytes.dropFirst().prefix { $0 != UInt8(ascii: "]") }))
    }
    return String(Substring(bytes.prefix { $0 != UInt8(ascii: ":") }))
  }

  /// The media type of the body without its parameters, in lower case.
  package var contentType: String? {
    guard let value = fields["content-type"] else { return nil }
    let bytes = Array(value.utf8)
    return String(decoding: HeaderFields.trimmed(bytes.prefix { $0 != UInt8(ascii: ";") }), as: UTF8.self).lowercased()
  }

  /// Whether the client takes a media type: it says so, by name or by range, or it says nothing (RFC 9110 12.5.1).
  package func accepts(_ type: String) -> Bool {
    var isStated = false
    var isTaken = false
    fields.forEachMember(of: "accept") { range in
      isStated = true
      let end = range.firstIndex(of: UInt8(ascii: ";")) ?? range.endIndex
      let name = HeaderFields.trimmed(range[..<end])
      isTaken = Self.covers(name, type) && !Self.isRefused(range[end...])
      return !isTaken
    }
    return isTaken || !isStated
  }

  /// Whether a media range is this type, all of its family, or everything.
  private static func covers(_ range: ArraySlice<UInt8>, _ type: String) -> Bool {
    if HeaderFields.isSame(range, type) { return true }
    guard range.last == UInt8(ascii: "*") else { return false }
    let slash = type.utf8.firstIndex(of: UInt8(ascii: "/")) ?? type.endIndex
    return HeaderFields.isSame(range, "*/*") || HeaderFields.isSame(range, String(type[..<slash]) + "/*")
  }

  /// A weight of zero among the parameters of a media range.
  private static func isRefused(_ parameters: ArraySlice<UInt8>) -> Bool {
    !parameters.isEmpty
      && parameters.split(separator: UInt8(ascii: ";")).contains { parameter in
        let parameter = HeaderFields.trimmed(parameter)
        return ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains { HeaderFields.isSame(parameter, $0) }
      }
  }
}
