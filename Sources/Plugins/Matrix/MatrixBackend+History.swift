import ParleyHTTPClient
import ParleyRuntime

extension MatrixBackend {
  /// A stretch of a room's history as the server answers it.
  struct HistoryPage {
    /// In the direction of reading.
    let events: [JSONSlice]
    /// Where reading goes on; nil at the end.
    let next: String?
  }

  /// One request for messages (and the room's first event) from a token on, nil for either end of the room.
  func history(
    of room: Room, from token: String?, backwards: Bool, limit: Int, by senders: [String]? = nil,
    _ deadline: LoopInstant
  ) async throws(MatrixFailure) -> HistoryPage {
    var filter: JSONObject = [
      "types": .array((EventReader.types + ["m.room.create"]).map { .string($0) }), "lazy_load_members": true,
    ]
    if let senders { filter["senders"] = .array(senders.map { .string($0) }) }
    var query = [
      ("dir", backwards ? "b" : "f"), ("limit", String(limit)), ("filter", JSONValue.object(filter).text),
    ]
    if let token { query.append(("from", token)) }
    let answer = try await call(.get, "\(room.path)/messages", query: query, deadline: deadline)
    guard let chunk = answer.member("chunk"), chunk.kind == .array else { throw .malformed("messages without chunk") }
    let next = answer.member("end")?.string
    // A server that answered with the place it was asked from would keep us for ever.
    return HistoryPage(events: Array(chunk.elements), next: next == token ? nil : next)
  }

  /// A token from which an event follows, and the one just after it; nil where the room has no such event, or does not show it to us.
  ///
  /// Synapse answers with topological tokens (`t<depth>-<arrival>…`), by which an event that arrived later at a lesser
  /// depth would be passed over. The same position in the order of arrival is `s<arrival>…`, the form of its /sync
  /// tokens; reading forward begins there. Synapse's `start` leaves out what stands at the event's own depth before it,
  /// so reading back begins just after the event, and passes it over.
  func context(
    of event: String, in room: Room, deadline: LoopInstant
  ) async throws(MatrixFailure) -> (start: String, end: String)? {
    do throws(MatrixFailure) {
      let answer = try await call(
        .get, "\(room.path)/context/\(URLText.encode(event))", query: [("limit", "0")], deadline: deadline)
      guard let start = answer.member("start")?.string, let end = answer.member("end")?.string else {
        throw .malformed("a context without tokens")
      }
      return (start, end)
    } catch {
      if error.status == 404 || error.code == "M_NOT_FOUND" { return nil }
      throw error
    }
  }

  /// The token in the order of arrival, where its form is known; else as it is.
  static func arrivalToken(_ token: String) -> String {
    guard token.utf8.first == UInt8(ascii: "t"), let dash = token.utf8.firstIndex(of: UInt8(ascii: "-")) else {
      return token
    }
    let depth = token.utf8[token.utf8.index(after: token.startIndex)..<dash]
    let rest = token[token.index(after: dash)...]
    guard !depth.isEmpty, depth.allSatisfy({ (0x30...0x39).contains($0) }),
      rest.utf8.first.map({ (0x30...0x39).contains($0) }) == true
    else { return token }
    return "s" + rest
  }
}
