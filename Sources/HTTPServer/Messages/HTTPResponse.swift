import ParleyRuntime

/// A response whose body is there.
package struct HTTPResponse: Sendable {
  package var status: Int
  /// Name and value; neither may hold a line break, which is checked where they are written.
  package var fields: [(name: String, value: String)]
  package var body: [UInt8]
  /// No further request is taken on the connection.
  package var closes = false

  package init(_ status: Int, fields: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.status = status
    self.fields = fields
    self.body = body
  }

  /// A JSON text.
  package static func json(
    _ status: Int, _ body: [UInt8], fields: [(name: String, value: String)] = []
  ) -> HTTPResponse {
    HTTPResponse(status, fields: [("Content-Type", "application/json")] + fields, body: body)
  }

  /// `{"error":{"code":…,"message":…}}`.
  package static func refusal(
    _ refusal: HTTPRefusal, fields: [(name: String, value: String)] = []
  ) -> HTTPResponse {
    var writer = JSONWriter(capacity: 128)
    writer.beginObject()
    writer.key("error")
    writer.beginObject()
    writer.key("code")
    writer.string(refusal.code)
    writer.key("message")
    writer.string(refusal.reason)
    writer.endObject()
    writer.endObject()
    return .json(refusal.status, writer.bytes, fields: fields)
  }
}

/// The phrases of RFC 9110 section 15.
enum StatusPhrase {
  static func of(_ status: Int) -> String {
    switch status {
    case 100: "Continue"
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 302: "Found"
    case 303: "See Other"
    case 304: "Not Modified"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 410: "Gone"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 417: "Expectation Failed"
    case 421: "Misdirected Request"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    default: "Status"
    }
  }
}
