/// One HTTP request, complete in memory.
public struct HTTPRequest: Hashable, Sendable {
  /// What is done to the resource (RFC 9110 section 9).
  public enum Method: String, Hashable, Sendable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
    case head = "HEAD"
  }

  /// A header field; the name is compared without regard to case.
  public struct Header: Hashable, Sendable {
    /// The name, for example `Authorization`.
    public let name: String
    /// The value; line breaks and NUL are refused when the request is sent.
    public let value: String

    /// Makes a field.
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  /// What is done.
  public var method: Method
  /// An absolute URL, `http` or `https`, percent-encoded by the caller.
  public var url: String
  /// Fields beside those that the client writes itself (`Host`, `Content-Length`, `User-Agent`, `Accept-Encoding`).
  public var headers: [Header]
  /// The body; nil sends none. GET and HEAD cannot have one.
  public var body: [UInt8]?
  /// The largest answer that is taken, in bytes after decompression; a longer one fails as `responseTooLarge`.
  public var responseLimit: Int

  /// Makes a request.
  public init(
    _ method: Method = .get, _ url: String, headers: [Header] = [], body: [UInt8]? = nil, responseLimit: Int = 32 << 20
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.responseLimit = responseLimit
  }
}

/// What the server answered, whatever its status.
public struct HTTPResponse: Hashable, Sendable {
  /// The status code, 200 to 599.
  public let status: Int
  /// The fields of the final answer in order; names in lower case.
  public let headers: [HTTPRequest.Header]
  /// The body, decompressed.
  public let body: [UInt8]
  /// The answer came over HTTP/2.
  public let isHTTP2: Bool

  /// The value of the first field of this name; the name in lower case.
  public func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}
