import ParleyRuntime

/// A JSON-RPC error object.
package struct RPCError: Error, Sendable {
  /// The codes that are used: JSON-RPC 2.0 section 5.1, and MCP's own.
  package enum Code: Int, Sendable {
    case parseError = -32700
    case invalidRequest = -32600
    case methodNotFound = -32601
    case invalidParams = -32602
    case internalError = -32603
    /// Up to revision 2025-11-25; later ones say `invalidParams`.
    case resourceNotFound = -32002
    /// Since revision 2026-07-28.
    case unsupportedProtocolVersion = -32022
    /// Since revision 2026-07-28: a header of the HTTP request is missing, or says something else than the body.
    case headerMismatch = -32020
    /// Since revision 2026-07-28: the request needs what the client did not say that it can.
    case missingCapability = -32021
    /// Ours, outside the reserved range: more calls are pending than the limit allows.
    case tooManyCalls = -31001
  }

  package let code: Code
  package let message: String
  /// Members of the `data` object, as JSON without braces.
  package var data: [UInt8]?

  package init(_ code: Code, _ message: String, data: [UInt8]? = nil) {
    self.code = code
    self.message = message
    self.data = data
  }

  /// What is wrong with a line that is not acceptable JSON.
  package init(_ error: JSONError) {
    switch error.code {
    case .depthExceeded, .tooLong: self.init(.invalidRequest, "Invalid request: \(error)")
    default: self.init(.parseError, "Parse error: \(error)")
    }
  }
}
