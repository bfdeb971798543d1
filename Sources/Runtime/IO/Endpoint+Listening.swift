extension Endpoint {
  /// Where to listen: `127.0.0.1:8808`, `[::1]:8808` or `unix:/run/parley.sock`; nil where the text is none of these.
  ///
  /// Hosts are numeric: a name could lead elsewhere tomorrow. Port 0 lets the kernel choose.
  package init?(listening text: String) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst(5))
      guard path.hasPrefix("/"), SocketAddress(unixPath: path) != nil else { return nil }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (0...65_535).contains(port), String(port) == text[text.index(after: colon)...]
    else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
      guard host.contains(":") else { return nil }
    } else if host.contains(":") {
      return nil
    }
    guard IPAddress(host) != nil else { return nil }
    self = .tcp(host: host, port: port)
  }

  /// Only this machine can reach it: a loopback address or a Unix socket.
  package var isLocal: Bool {
    switch self {
    case .tcp(let host, _): IPAddress(host)?.isLoopback ?? false
    case .unix: true
    }
  }
}
