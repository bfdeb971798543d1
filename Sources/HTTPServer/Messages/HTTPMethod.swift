/// The request methods of RFC 9110 section 9, RFC 5789 and draft-ietf-httpbis-safe-method-w-body; any other is answered
/// with 501.
package enum HTTPMethod: String, Hashable, Sendable, CaseIterable {
  case get = "GET"
  case head = "HEAD"
  case post = "POST"
  case put = "PUT"
  case delete = "DELETE"
  case options = "OPTIONS"
  case patch = "PATCH"
  case query = "QUERY"
  case trace = "TRACE"
  case connect = "CONNECT"
}
