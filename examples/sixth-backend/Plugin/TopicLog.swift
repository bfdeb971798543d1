import ParleyRuntime

/// What is known of one topic's file: where each line stands, and which keys it holds. Pure; the keeper reads the file.
struct TopicLog {
  /// One message's line.
  struct Line {
    let offset: Int
    let length: Int
    let storedAt: Int64
  }

  /// Numbers of messages that were chosen, and what is to be said of those around them.
  struct Choice {
    var numbers: Range<Int>
    var gap: (to: LogPlace, reason: String, isCertain: Bool)?
  }

  let header: StoredLine.Header
  private(set) var lines: [Line] = []
  /// Everything before this offset has been read; it is the end of a line.
  private(set) var end: Int
  private var numbers: [[UInt8]: Int] = [:]

  /// The log of a header that takes so many bytes.
  init(header: StoredLine.Header, bytes: Int) {
    self.header = header
    end = bytes
  }

  /// The number that the next message gets.
  var nextNumber: Int { header.first + lines.count }
  var lastPlace: LogPlace { place(nextNumber - 1) }
  /// Where a reader goes on to whom older messages are lost.
  var oldestPlace: LogPlace { place(header.first - 1) }

  func place(_ number: Int) -> LogPlace { LogPlace(generation: header.generation, number: number) }
  func line(_ number: Int) -> Line { lines[number - header.first] }
  /// The message that a key has stored.
  func number(of key: [UInt8]) -> Int? { numbers[key] }

  /// Takes in what follows `end`, as far as its lines are whole.
  mutating func add(_ bytes: [UInt8]) {
    var start = 0
    while let newline = bytes[start...].firstIndex(of: 0x0a) {
      let facts = StoredLine.facts(Array(bytes[start..<newline]))
      if let key = facts?.key, numbers[key] == nil { numbers[key] = nextNumber }
      let storedAt = facts?.storedAt ?? lines.last?.storedAt ?? 0
      lines.append(Line(offset: end, length: newline - start, storedAt: storedAt))
      end += newline + 1 - start
      start = newline + 1
    }
  }

  /// What comes after a place (S3, S4).
  func after(_ place: LogPlace) -> Choice {
    func lost(_ reason: String, certain: Bool) -> Choice {
      Choice(numbers: header.first..<nextNumber, gap: (oldestPlace, reason, certain))
    }
    let isOurs = place.generation == header.generation || place == .beginning
    if !isOurs { return lost("the topic's log was removed and made anew", certain: false) }
    if place.number < header.first - 1 { return lost("older messages were removed", certain: true) }
    if place.number >= nextNumber { return lost("the log ends before the cursor", certain: false) }
    return Choice(numbers: (place.number + 1)..<nextNumber)
  }

  /// What comes before a place, back to a time.
  func before(_ place: LogPlace, storedSince: Int64?) -> Choice {
    guard place.generation == header.generation else {
      let reason = "the topic's log was removed and made anew"
      return Choice(numbers: header.first..<header.first, gap: (oldestPlace, reason, false))
    }
    guard place.number >= header.first else {
      let gap = place.number > 0 ? (oldestPlace, "older messages were removed", true) : nil
      return Choice(numbers: header.first..<header.first, gap: gap)
    }
    let upper = min(place.number, nextNumber)
    var lower = header.first
    if let storedSince { lower = (lower..<upper).first { line($0).storedAt >= storedSince } ?? upper }
    return Choice(numbers: lower..<upper)
  }
}
