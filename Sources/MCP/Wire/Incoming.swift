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
    var version: JSONSlice?
    var rawID: JSONSlice?
    var method: JSONSlice?
    var params: JSONSlice?
    var isAnswer = false
    for member in value.members {
      if member.isNamed("jsonrpc") {
        version = member.value
      } else if member.isNamed("id") {
        rawID = member.value
      } else if member.isNamed("method") {
        method = member.value
      } else if member.isNamed("params") {
        params = member.value.isNull ? nil : member.value
      } else if member.isNamed("result") || member.isNamed("error") {
        isAnswer = true
      }
    }
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
