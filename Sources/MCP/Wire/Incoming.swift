import ParleyRuntime

/// One JSON-RPC message as it came, in slices of its line.
package enum Incoming {
  case request(RequestID, method: JSONSlice, params: JSONSlice?)
  case notification(method: JSONSlice, params: JSONSlice?)
  /// An answer to a request that was never made: ignored.
  case response
  /// To be answered with the error, under the id where it could be read.
  case invalid(RPCError, RequestID?)

  /// Judges one JSON value that is not an array.
  package init(_ value: JSONSlice) {
    guard value.kind == .object else {
      self = .invalid(RPCError(.invalidRequest, "Invalid request: a message is a JSON object"), nil)
      return
    }
    let found = value.members(["jsonrpc", "id", "method", "params", "result", "error"])
    let (version, rawID, method) = (found[0], found[1], found[2])
    let params = found[3]?.isNull == true ? nil : found[3]
    let isAnswer = found[4] != nil || found[5] != nil
    let id = rawID.flatMap(RequestID.init)
    if method == nil, isAnswer {
      self = .response
    } else if version?.isString("2.0") != true {
      self = .invalid(RPCError(.invalidRequest, "Invalid request: \"jsonrpc\" must be \"2.0\""), id)
    } else if rawID != nil, id == nil {
      self = .invalid(RPCError(.invalidRequest, "Invalid request: \"id\" must be a string or an integer"), nil)
    } else if let method, method.kind == .string {
      self = id.map { .request($0, method: method, params: params) } ?? .notification(method: method, params: params)
    } else {
      self = .invalid(RPCError(.invalidRequest, "Invalid request: \"method\" must be a string"), id)
    }
  }
}
