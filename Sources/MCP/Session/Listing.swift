import ParleyRuntime

/// A list that never changes in a process's life, in pages.
struct Listing: Sendable {
  private static let pageSize = 100

  /// The member of the result that holds the entries.
  let name: String
  /// One JSON object each.
  private let entries: [[UInt8]]

  init(_ name: String, _ entries: [String]) {
    self.name = name
    self.entries = entries.map { Array($0.utf8) }
  }

  /// Where the page of a cursor begins: 0 without one. Throws for a cursor that no page gave out.
  func start(of cursor: JSONSlice?) throws(RPCError) -> Int {
    guard let cursor else { return 0 }
    guard let text = cursor.string, text.hasPrefix("from-"), let start = Int(text.dropFirst(5)),
      start > 0, start < entries.count, start.isMultiple(of: Self.pageSize), text == "from-\(start)"
    else { throw RPCError(.invalidParams, "Invalid params: unknown cursor") }
    return start
  }

  /// Writes the members of the page that begins at `start`.
  func write(from start: Int, into writer: inout JSONWriter) {
    let end = min(start + Self.pageSize, entries.count)
    writer.key(name)
    writer.beginArray()
    for entry in entries[start..<end] { writer.raw(trusted: entry) }
    writer.endArray()
    if end < entries.count { writer.member("nextCursor", "from-\(end)") }
  }
}
