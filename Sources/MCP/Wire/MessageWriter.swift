import ParleyRuntime

extension JSONWriter {
  /// Writes a response; `body` writes the result object.
  mutating func response(to id: RequestID, _ body: (inout JSONWriter) -> Void) {
    beginResponse(id)
    raw(trusted: #""result":"#)
    body(&self)
    endObject()
  }

  /// Writes an error response; the id is null where it could not be read.
  package mutating func error(_ error: RPCError, to id: RequestID?) {
    beginResponse(id)
    key("error")
    beginObject()
    key("code")
    int(error.code.rawValue)
    key("message")
    string(error.message)
    if let data = error.data {
      key("data")
      beginObject()
      raw(trusted: data)
      endObject()
    }
    endObject()
    endObject()
  }

  /// Writes a notification; `params` writes the members of the params object.
  mutating func notification(_ method: String, _ params: (inout JSONWriter) -> Void) {
    raw(trusted: #"{"jsonrpc":"2.0","method":"#)
    string(method)
    raw(trusted: #""params":{"#)
    params(&self)
    endObject()
    endObject()
  }

  private mutating func beginResponse(_ id: RequestID?) {
    raw(trusted: #"{"jsonrpc":"2.0","id":"#)
    if let id { raw(id.slice) } else { null() }
  }

  /// Writes a name that the program itself contains, and a string.
  mutating func member(trusted name: StaticString, _ value: String) {
    key(trusted: name)
    string(value)
  }

  /// Writes a name and a number in its shortest form.
  mutating func member(_ name: String, _ value: Double) {
    key(name)
    if value == value.rounded(), abs(value) < 9e15 {
      int(Int64(value))
    } else {
      raw(trusted: Array(value.description.utf8))
    }
  }
}
