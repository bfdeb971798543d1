import ParleyRuntime
import ParleyTestKit

/// Another program on the same server: the plain protocol over a socket, with no library in between. Each call has a
/// connection and a thread of its own.
struct OtherProgram: Sendable {
  let port: Int
  /// What `CONNECT` says of who we are, for example `"user":"admin","pass":"x"`.
  var credentials = ""

  /// What was received.
  struct Message: Sendable {
    var subject: String
    var headers: String
    var payload: String
  }

  /// Sends a request and returns the first reply; the payload is text.
  @discardableResult
  func request(_ subject: String, _ payload: String = "", headers: [String] = []) async throws -> Message {
    let (port, credentials) = (port, credentials)
    let thread = try EventLoop.thread(named: "other-program")
    defer { thread.stop() }
    return try await thread.spawn {
      Result {
        let client = try BlockingClient(port: port)
        _ = try client.line()
        let who = credentials.isEmpty ? "" : "," + credentials
        try client.send("CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true\(who)}\r\n")
        try client.send("SUB _INBOX.other 1\r\n")
        try client.send(Self.publication(subject, payload, headers, reply: "_INBOX.other"))
        return try Self.message(client)
      }
    }.value.get()
  }

  /// A request whose reply carries no JSON error.
  @discardableResult
  func ask(_ subject: String, _ payload: String = "") async throws -> JSONValue {
    let reply = try await request(subject, payload)
    let value = try JSONValue(parsing: reply.payload)
    if let error = value.object?["error"] { throw ServerFailure("\(subject): \(error)") }
    return value
  }

  private static func publication(_ subject: String, _ payload: String, _ headers: [String], reply: String) -> String {
    guard !headers.isEmpty else { return "PUB \(subject) \(reply) \(payload.utf8.count)\r\n\(payload)\r\n" }
    let block = "NATS/1.0\r\n" + headers.map { $0 + "\r\n" }.joined() + "\r\n"
    let size = block.utf8.count
    return "HPUB \(subject) \(reply) \(size) \(size + payload.utf8.count)\r\n\(block)\(payload)\r\n"
  }

  private static func message(_ client: BlockingClient) throws -> Message {
    while true {
      let words = try client.line().split(separator: " ").map(String.init)
      switch words.first {
      case "PING": try client.send("PONG\r\n")
      case "MSG": return Message(subject: words[1], headers: "", payload: try client.bytes(Int(words.last ?? "") ?? 0))
      case "HMSG":
        let total = Int(words[words.count - 1]) ?? 0
        let head = Int(words[words.count - 2]) ?? 0
        let headers = try client.bytes(head)
        return Message(subject: words[1], headers: headers, payload: try client.bytes(total - head))
      case "-ERR": throw ServerFailure(words.joined(separator: " "))
      default: continue
      }
    }
  }
}
