import ParleyRuntime

/// `redis://[user[:password]@]host[:port][/database]`, `rediss://` for TLS, `unix:///path[?db=n]` for a socket file.
struct RedisURL: Hashable, Sendable {
  var endpoint: Endpoint
  var isEncrypted = false
  var username: String?
  var password: String?
  var database: Int?

  /// Throws `invalidRequest` that names what is wrong, without the user information.
  init(_ text: String) throws(SeamError) {
    guard let colon = text.firstIndex(of: ":") else { throw Self.problem("it has no scheme") }
    let scheme = text[..<colon].lowercased()
    var rest = text[text.index(after: colon)...]
    if rest.hasPrefix("//") { rest = rest.dropFirst(2) }
    var query: Substring = ""
    if let mark = rest.firstIndex(of: "?") {
      query = rest[rest.index(after: mark)...]
      rest = rest[..<mark]
    }
    switch scheme {
    case "redis", "rediss", "valkey", "valkeys":
      isEncrypted = scheme == "rediss" || scheme == "valkeys"
      var path: Substring = ""
      // A password may hold an unescaped slash or "@": the last "@" before the path's slash decides, as in browsers.
      var authority = rest
      let at = rest.lastIndex(of: "@")
      if let slash = (at.map { rest[$0...] } ?? rest).firstIndex(of: "/") {
        path = rest[rest.index(after: slash)...]
        authority = rest[..<slash]
      }
      var host = authority
      if let at {
        host = authority[authority.index(after: at)...]
        let user = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        username = user[0].isEmpty ? nil : try Self.decoded(user[0])
        if user.count == 2 { password = try Self.decoded(user[1]) }
      }
      endpoint = try Self.endpoint(String(host), defaultPort: 6379)
      if !path.isEmpty { database = try Self.number(path) }
    case "unix", "redis+unix":
      guard rest.hasPrefix("/") else { throw Self.problem("a Unix socket needs an absolute path") }
      endpoint = .unix(path: try Self.decoded(rest))
    default: throw Self.problem("the scheme is none of redis, rediss, unix")
    }
    for pair in query.split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1)
      guard parts.count == 2, parts[0] == "db" else { throw Self.problem("only ?db= is known, not '\(pair)'") }
      database = try Self.number(parts[1])
    }
  }

  /// Reads `host`, `host:port`, `[address]:port`.
  static func endpoint(_ text: String, defaultPort: Int) throws(SeamError) -> Endpoint {
    var host = Substring(text)
    var port = Substring("")
    if text.hasPrefix("[") {
      guard let close = text.firstIndex(of: "]") else { throw problem("'[' without ']' in '\(text)'") }
      host = text[text.index(after: text.startIndex)..<close]
      port = text[text.index(after: close)...]
    } else if let colon = text.lastIndex(of: ":") {
      host = text[..<colon]
      port = text[colon...]
    }
    guard !host.isEmpty else { throw problem("'\(text)' names no host") }
    guard port.isEmpty || port.hasPrefix(":") else { throw problem("'\(text)' is no host and port") }
    let digits = port.dropFirst()
    guard let number = digits.isEmpty ? defaultPort : Int(digits), (1...65_535).contains(number) else {
      throw problem("'\(digits)' is no port")
    }
    return .tcp(host: String(host), port: number)
  }

  private static func number(_ text: Substring) throws(SeamError) -> Int {
    guard let number = Int(text), number >= 0 else { throw problem("'\(text)' is no database number") }
    return number
  }

  private static func decoded(_ text: Substring) throws(SeamError) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
        throw problem("'%' is not followed by two hexadecimal digits")
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func problem(_ cause: String) -> SeamError {
    SeamError(.invalidRequest, operation: "read backend_config.url", cause: cause)
  }
}
