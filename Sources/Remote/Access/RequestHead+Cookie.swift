import ParleyHTTPServer

extension RequestHead {
  /// The value of a cookie (RFC 6265 section 5.4); nil where the browser sent none.
  func cookie(_ name: String) -> String? {
    for pair in fields.all("cookie").flatMap({ $0.split(separator: ";") }) {
      let parts = pair.split(separator: "=", maxSplits: 1)
      if parts.count == 2, HeaderFields.trimmed(parts[0]) == name { return HeaderFields.trimmed(parts[1]) }
    }
    return nil
  }
}
