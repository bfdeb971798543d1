import ParleyRuntime

/// A JSON-RPC error object.
struct RPCError: Error, Sendable {
  /// The codes that are used: JSON-RPC 2.0 section 5.1, and MCP's own.
  enum Code: Int, Sendable {
    case parseError = -32700
    case invalidRequest = -32600
    case methodNotFound = -32601
    case invalidParams = -32602
    case internalError = -32603
    /// Up to revision 2025-11-25; later ones say `invalidParams`.
    case resourceNotFound = -32002
    /// Since revision 2026-07-28.
    case unsupportedProtocolVersion = -32022
    /// Ours, outside the reserved range: more calls are pending than the limit allows.
    case tooManyCalls = -31001
  }

  let code: Code
  let message: String
  /// Members of the `data` object, as JSON without braces.
  var data: [UInt8]?

  init(_ code: Code, _ message: String, data: [UInt8]? = nil) {
    self.code = code
    self.message = message
    self.data = data
  }

  /// What is wrong with a line that is not acceptable JSON.
  init(_ error: JSONError) {
    switch error.code {
    case .depthExceeded, .tooLong: self.init(.invalidRequest, "Invalid request: \(error)")
    default: self.init(.parseError, "Parse error: \(error)")
    }
  }
}
