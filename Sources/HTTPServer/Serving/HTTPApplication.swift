import ParleyRuntime

/// What a server serves. Called on the server's loop.
package protocol HTTPApplication: AnyObject, Sendable {
  /// Judges a head before its body is read.
  func admit(_ head: RequestHead, from peer: IPAddress?) -> HTTPAdmission

  /// Takes a request whose head was admitted, with its whole body. The exchange is ended now or later.
  func handle(_ exchange: HTTPExchange)

  /// Lines of every answer to this request, whatever it is.
  func fields(for head: RequestHead) -> [(name: String, value: String)]
}

extension HTTPApplication {
  package func fields(for head: RequestHead) -> [(name: String, value: String)] { [] }
}

/// What to do with a request whose head was read.
package enum HTTPAdmission: Sendable {
  /// Read its body, of at most so many bytes, and handle it. Where the whole body is there already, the exchange has what
  /// was found out about the request; by the time that a body comes later, that may not hold any more.
  case body(limit: Int, finding: (any Sendable)? = nil)
  /// Answer at once; the body is passed over.
  case answer(HTTPResponse)
  /// It cannot be said without waiting; no body is asked for or read meanwhile. The outcome is told once, on the loop.
  case later(@Sendable (_ reply: @escaping @Sendable (HTTPAdmission) -> Void) -> Void)
}
