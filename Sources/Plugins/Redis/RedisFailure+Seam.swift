import ParleyRuntime

/// An error reply of the server: a code word and a text, for example `WRONGPASS invalid username-password pair …`.
struct RedisError: Error, Hashable {
  let text: String

  init(_ text: String) { self.text = text }

  /// The first word: `ERR`, `NOAUTH`, `MOVED`…
  var code: Substring { text.prefix { $0 != " " } }

  /// Where a cluster says the key is, for MOVED and ASK.
  var redirection: (slot: Int, endpoint: String, isAsk: Bool)? {
    guard code == "MOVED" || code == "ASK" else { return nil }
    let parts = text.split(separator: " ")
    guard parts.count == 3, let slot = Int(parts[1]) else { return nil }
    return (slot, String(parts[2]), code == "ASK")
  }

  /// The server is not, or no longer, one that can be written to: another must be looked for.
  var endsSession: Bool { ["READONLY", "MASTERDOWN", "LOADING", "NOAUTH"].contains(code) }

  /// The failure as the seam tells it; the server did nothing.
  func seamError(_ operation: String) -> SeamError {
    SeamError(seamCode, operation: operation, cause: cause)
  }

  private var seamCode: SeamError.Code {
    switch code {
    case "NOAUTH", "WRONGPASS": .unauthorized
    case "NOPERM": .forbidden
    case "OOM", "MISCONF": .storageFull
    case "WRONGTYPE": .corrupt
    case "LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS", "MOVED", "ASK",
      "UNBLOCKED", "NOMASTERLINK", "INPROG", "IOERR":
      .unavailable
    case "CROSSSLOT", "NOPROTO": .unsupported
    default: ofText
    }
  }

  /// Errors that all begin with the word `ERR`.
  private var ofText: SeamError.Code {
    if text.contains("unknown command") || text.contains("unknown subcommand") { return .unsupported }
    if text.contains("max number of clients") { return .unavailable }
    if text.contains("AUTH") || text.contains("invalid password") { return .unauthorized }
    if text.contains("DB index") || text.contains("SELECT is not allowed") { return .invalidRequest }
    if text.contains("invalid bulk length") || text.contains("string exceeds maximum") { return .tooLarge(limit: nil) }
    return .invalidRequest
  }

  private var cause: String {
    switch code {
    case "NOAUTH": "the server demands a password (\(text))"
    case "OOM": "the server's memory is used up (\(text))"
    case "MISCONF": "the server cannot save to its disk and refuses writes (\(text))"
    case "WRONGTYPE": "the topic's key holds something that is not a stream (\(text))"
    case "READONLY": "the server is a replica (\(text))"
    case "NOREPLICAS": "the server has too few replicas to accept writes (\(text))"
    default: text.contains("DB index") ? "the server has no such database (\(text))" : text
    }
  }
}
