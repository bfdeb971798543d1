import ParleyRuntime

/// The statement that adds messages' rows, always the same number at once: many in one statement cost half as much each.
/// What the rows before had, too, stays bound: rows of one process are alike.
struct MessageInsert: ~Copyable {
  private static let columns = [
    "topic", "sender", "content", "ts", "in_reply_to", "stored_at", "key", "author", "instance", "recipient",
    "attributes", "kind", "nonce",
  ]

  /// How many rows it adds.
  let count: Int
  private let statement: SQLiteStatement
  /// The text of each parameter that rarely changes.
  private var bound: [String?]

  init(_ connection: borrowing SQLiteConnection, count: Int) throws(SQLiteFailure) {
    let width = Self.columns.count
    let rows = (0..<count).map { row in
      "(" + (1...width).map { "?\(row * width + $0)" }.joined(separator: ", ") + ")"
    }
    let names = Self.columns.joined(separator: ", ")
    let statement = try connection.prepare("INSERT INTO messages (\(names)) VALUES \(rows.joined(separator: ", "))")
    self.statement = statement
    self.count = count
    bound = Array(repeating: nil, count: count * width)
  }

  /// Adds `count` rows, all or none.
  mutating func run(_ drafts: [Draft], storedAt: Int64, timestamp: String) throws(SQLiteFailure) {
    precondition(drafts.count == count, "the statement has parameters for so many rows")
    for row in drafts.indices {
      bind(drafts[row], row: row, storedAt: storedAt, timestamp: timestamp)
      statement.bind(drafts[row].content, at: parameter(3, row))
    }
    try statement.run()
  }

  /// Adds a row; for a statement of one.
  mutating func run(_ draft: Draft, storedAt: Int64, timestamp: String) throws(SQLiteFailure) {
    precondition(count == 1, "the statement has parameters for one row")
    bind(draft, row: 0, storedAt: storedAt, timestamp: timestamp)
    try statement.run(borrowing: draft.content, at: parameter(3, 0))
  }

  /// All but the content.
  private mutating func bind(_ draft: Draft, row: Int, storedAt: Int64, timestamp: String) {
    let key = draft.key
    let author = draft.author
    let attributes = draft.attributes
    keep(draft.topic.name, at: parameter(1, row))
    keep(author.handle.name, at: parameter(2, row))
    keep(timestamp, at: parameter(4, row))
    keep(draft.inReplyTo?.text, at: parameter(5, row))
    statement.bind(storedAt, at: parameter(6, row))
    keep(key.isChosen ? key.text : nil, at: parameter(7, row))
    keep(key.isChosen ? author.keyScope : nil, at: parameter(8, row))
    keep(author.instance, at: parameter(9, row))
    keep(draft.to?.name, at: parameter(10, row))
    keep(Self.text(of: attributes), at: parameter(11, row))
    keep(attributes.isEmpty ? nil : attributes["kind"], at: parameter(12, row))
    statement.bind(key.isChosen ? nil : key.text, at: parameter(13, row))
  }

  /// Attributes as they stand in their column; nil for none.
  static func text(of attributes: Attributes) -> String? { attributes.isEmpty ? nil : attributes.json }

  /// The parameter for a column of a row: columns count from 1, rows from 0.
  private func parameter(_ column: Int, _ row: Int) -> CInt { CInt(row * Self.columns.count + column) }

  private mutating func keep(_ text: String?, at parameter: CInt) {
    let place = Int(parameter) - 1
    switch (text, bound[place]) {
    case (nil, nil): return
    case (let text?, let known?) where text.isExactly(known): return
    default:
      statement.bind(text, at: parameter)
      bound[place] = text
    }
  }
}
