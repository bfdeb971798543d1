import ParleyRuntime

/// The statement that adds a message's row. What the row before had, too, stays bound: rows of one process are alike.
struct MessageInsert: ~Copyable {
  private let statement: SQLiteStatement
  /// The text of each parameter that rarely changes.
  private var bound: InlineArray<14, String?>

  init(_ connection: borrowing SQLiteConnection) throws(SQLiteFailure) {
    let statement = try connection.prepare(
      """
      INSERT INTO messages
        (topic, sender, content, ts, in_reply_to, stored_at, key, author, instance, recipient, attributes, kind,
        nonce)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
      """)
    self.statement = statement
    bound = InlineArray(repeating: nil)
  }

  /// Adds a row.
  mutating func run(_ draft: Draft, storedAt: Int64, timestamp: String) throws(SQLiteFailure) {
    let isChosen = draft.key.isChosen
    keep(draft.topic.name, at: 1)
    keep(draft.author.handle.name, at: 2)
    keep(timestamp, at: 4)
    keep(draft.inReplyTo?.text, at: 5)
    statement.bind(storedAt, at: 6)
    keep(isChosen ? draft.key.text : nil, at: 7)
    keep(isChosen ? draft.author.keyScope : nil, at: 8)
    keep(draft.author.instance, at: 9)
    keep(draft.to?.name, at: 10)
    keep(AttributeText.encode(draft.attributes), at: 11)
    keep(draft.attributes.isEmpty ? nil : draft.attributes["kind"], at: 12)
    statement.bind(isChosen ? nil : draft.key.text, at: 13)
    try statement.run(borrowing: draft.content, at: 3)
  }

  private mutating func keep(_ text: String?, at index: Int) {
    switch (text, bound[index]) {
    case (nil, nil): return
    case (let text?, let known?) where text.isExactly(known): return
    default:
      statement.bind(text, at: CInt(index))
      bound[index] = text
    }
  }
}
