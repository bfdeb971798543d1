/// Reads one complete head: request line, header lines, and what RFC 9112 makes of them together. Nothing is guessed.
struct HeadParser {
  private let bytes: [UInt8]
  private let limits: ServerLimits
  private var position = 0
  private var entries: [HeaderFields.Entry] = []

  /// `bytes` end with the empty line, and hold no line feed without a carriage return before it.
  static func parse(_ bytes: [UInt8], limits: ServerLimits) throws(HTTPRefusal) -> RequestHead {
    var parser = HeadParser(bytes, limits)
    return try parser.parse()
  }

  private init(_ bytes: [UInt8], _ limits: ServerLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  private mutating func parse() throws(HTTPRefusal) -> RequestHead {
    let line = try nextLine()
    let parts = bytes[line].split(separator: HTTPBytes.space, omittingEmptySubsequences: false)
    guard parts.count == 3, !parts[0].isEmpty, parts[0].allSatisfy(HTTPBytes.isToken) else {
      throw .malformed("the request line is not: method, space, target, space, version")
    }
    let isOld = try Self.isOld(version: parts[2])
    guard let method = HTTPMethod(rawValue: String(decoding: parts[0], as: UTF8.self)), method != .connect else {
      throw HTTPRefusal(501, "notImplemented", "this method is not known here")
    }
    let target = try Self.target(parts[1], method)
    try readFields()
    let fields = HeaderFields(bytes: bytes, entries: entries)
    let host = try Self.host(fields, isOld: isOld)
    let connection = fields.list("connection")
    return RequestHead(
      method: method, path: target.path, query: target.query, isOld: isOld, authority: target.authority ?? host ?? "",
      fields: fields, framing: try Self.framing(fields, isOld: isOld),
      keepsAlive: !isOld && !connection.contains("close"), expectsContinue: try Self.expects(fields, isOld: isOld))
  }

  /// The next line without its end; an empty range for the empty line.
  private mutating func nextLine() throws(HTTPRefusal) -> Range<Int> {
    let start = position
    while position < bytes.count, bytes[position] != HTTPBytes.cr { position += 1 }
    guard position + 1 < bytes.count, bytes[position + 1] == HTTPBytes.lf else {
      throw .malformed("a carriage return without a line feed")
    }
    defer { position += 2 }
    return start..<position
  }

  private static func isOld(version: ArraySlice<UInt8>) throws(HTTPRefusal) -> Bool {
    let digits = Array(version)
    guard digits.count == 8, digits.starts(with: "HTTP/".utf8), HTTPBytes.isDigit(digits[5]),
      digits[6] == UInt8(ascii: "."), HTTPBytes.isDigit(digits[7])
    else { throw .malformed("the version is not of the form HTTP/1.1") }
    guard digits[5] == UInt8(ascii: "1") else {
      throw HTTPRefusal(505, "versionNotSupported", "HTTP/1.1 and HTTP/1.0 are spoken here")
    }
    return digits[7] == UInt8(ascii: "0")
  }

  /// RFC 9112 section 3.2; the authority only where the target names one.
  private static func target(
    _ bytes: ArraySlice<UInt8>, _ method: HTTPMethod
  ) throws(HTTPRefusal) -> (authority: String?, path: String, query: String?) {
    guard !bytes.isEmpty, bytes.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else {
      throw .malformed("the request target holds what a target may not hold")
    }
    let text = String(decoding: bytes, as: UTF8.self)
    if text == "*", method == .options { return (nil, "*", nil) }
    if text.hasPrefix("/") {
      let (path, query) = split(text[...])
      return (nil, path, query)
    }
    let lowercase = text.lowercased()
    guard let scheme = ["http://", "https://"].first(where: { lowercase.hasPrefix($0) }) else {
      throw .malformed("the request target is neither a path nor an absolute address")
    }
    let rest = text.dropFirst(scheme.count)
    let authority = String(rest.prefix { $0 != "/" && $0 != "?" }).lowercased()
    guard isHost(authority) else { throw .malformed("the request target names no host") }
    let (path, query) = split(rest.dropFirst(authority.count))
    return (authority, path.isEmpty ? "/" : path, query)
  }

  private static func split(_ text: Substring) -> (path: String, query: String?) {
    guard let mark = text.firstIndex(of: "?") else { return (String(text), nil) }
    return (String(text[..<mark]), String(text[text.index(after: mark)...]))
  }

  private mutating func readFields() throws(HTTPRefusal) {
    while true {
      let line = try nextLine()
      if line.isEmpty { return }
      guard entries.count < limits.headerCount else {
        throw HTTPRefusal(431, "headerTooLarge", "more than \(limits.headerCount) header lines")
      }
      entries.append(try Self.field(bytes, line))
    }
  }

  /// One header or trailer line, without its end.
  static func field(_ bytes: [UInt8], _ line: Range<Int>) throws(HTTPRefusal) -> HeaderFields.Entry {
    // A line that begins with white space would continue the one before (obs-fold), which is how requests are smuggled.
    guard let colon = bytes[line].firstIndex(of: UInt8(ascii: ":")), colon > line.lowerBound,
      bytes[line.lowerBound..<colon].allSatisfy(HTTPBytes.isToken)
    else { throw .malformed("a header line is not: name, colon, value") }
    var value = colon + 1..<line.upperBound
    let isSpace = { (byte: UInt8) in byte == HTTPBytes.space || byte == HTTPBytes.tab }
    while let first = bytes[value].first, isSpace(first) { value = value.lowerBound + 1..<value.upperBound }
    while let last = bytes[value].last, isSpace(last) { value = value.lowerBound..<value.upperBound - 1 }
    guard bytes[value].allSatisfy(HTTPBytes.isFieldValue) else {
      throw .malformed("a header's value holds a control character")
    }
    return HeaderFields.Entry(name: line.lowerBound..<colon, value: value)
  }

  /// RFC 9112 section 3.2: exactly one Host in HTTP/1.1.
  private static func host(_ fields: HeaderFields, isOld: Bool) throws(HTTPRefusal) -> String? {
    let hosts = fields.all("host")
    guard let host = hosts.first?.lowercased() else {
      if isOld { return nil }
      throw .malformed("the header Host is missing")
    }
    guard hosts.count == 1, isHost(host) else { throw .malformed("the header Host is not one host") }
    return host
  }

  private static func isHost(_ text: String) -> Bool {
    guard !text.isEmpty, text.utf8.count <= 261, text.utf8.allSatisfy(HTTPBytes.isAuthority) else { return false }
    let rest: Substring
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { return false }
      rest = text[text.index(after: end)...]
    } else {
      guard !text.contains("["), !text.contains("]") else { return false }
      rest = text.firstIndex(of: ":").map { text[$0...] } ?? ""
      guard rest.startIndex > text.startIndex || rest.isEmpty else { return false }
    }
    guard !rest.isEmpty else { return true }
    return rest.hasPrefix(":") && rest.utf8.count <= 6 && rest.dropFirst().utf8.allSatisfy(HTTPBytes.isDigit)
  }

  /// RFC 9112 sections 6.1 to 6.3, and stricter: a length that is said twice is refused although both agree.
  private static func framing(_ fields: HeaderFields, isOld: Bool) throws(HTTPRefusal) -> RequestHead.Framing {
    let lengths = fields.all("content-length")
    let codings = fields.all("transfer-encoding")
    guard codings.isEmpty else {
      guard lengths.isEmpty else { throw .malformed("both Content-Length and Transfer-Encoding") }
      guard !isOld else { throw .malformed("Transfer-Encoding in HTTP/1.0") }
      guard codings.count == 1 else { throw .malformed("Transfer-Encoding more than once") }
      let coding = codings[0].lowercased()
      if coding == "chunked" { return .chunked }
      guard coding.utf8.allSatisfy({ HTTPBytes.isToken($0) || ", \t".utf8.contains($0) }), !coding.isEmpty else {
        throw .malformed("Transfer-Encoding is no list of codings")
      }
      let parts = fields.list("transfer-encoding")
      guard parts.last == "chunked", !parts.dropLast().contains("chunked") else {
        throw parts.contains("chunked")
          ? .malformed("chunked is not the last coding, or not the only one of its kind")
          : HTTPRefusal(501, "notImplemented", "of transfer codings only chunked is known here")
      }
      throw HTTPRefusal(501, "notImplemented", "of transfer codings only chunked is known here")
    }
    guard let length = lengths.first else { return .none }
    guard lengths.count == 1, !length.isEmpty, length.utf8.count <= 18, length.utf8.allSatisfy(HTTPBytes.isDigit),
      let number = Int(length)
    else { throw .malformed("Content-Length is not one number") }
    return number == 0 ? .none : .length(number)
  }

  private static func expects(_ fields: HeaderFields, isOld: Bool) throws(HTTPRefusal) -> Bool {
    let expectations = fields.list("expect")
    guard !expectations.isEmpty, !isOld else { return false }
    guard expectations == ["100-continue"] else {
      throw HTTPRefusal(417, "expectationFailed", "of expectations only 100-continue is known here")
    }
    return true
  }
}
