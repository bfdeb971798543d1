import ParleyRuntime

/// One topic's log in a simulated store: everything ever stored, what was removed, and where that left holes.
///
/// Positions count from 1 and are never used again. A position's generation is the number of tails lost before it was
/// stored, so that a cursor from a lost tail is told from the same position stored later.
struct SimulatedLog {
  struct Stored {
    var message: Message
    let generation: Int
    var isRemoved = false
  }

  /// A lost tail: positions that are gone, although older ones are still there.
  private struct Hole {
    let from: Int
    let through: Int
    /// Cursors of earlier generations that stand in the hole have to be told.
    let generation: Int
  }

  struct Place: Hashable {
    var generation: Int
    var position: Int
  }

  struct Reading {
    var messages: [Message] = []
    var gap: Gap?
    /// Where reading goes on, behind messages and gap.
    var next: Place
    var hasMore = false
  }

  let topic: Topic
  private(set) var stored: [Stored] = []
  private var holes: [Hole] = []
  private var generation = 1
  /// The highest trimmed position, and the generation a cursor exactly there needs not to have lost anything.
  private var trimmed = Place(generation: 0, position: 0)
  private var keys: [String: Int] = [:]

  init(topic: Topic) { self.topic = topic }

  static let backendName = "sim"

  /// The place behind the newest position; behind a lost tail it is one of the present generation.
  var end: Place {
    guard let last = stored.last, !last.isRemoved else { return Place(generation: generation, position: stored.count) }
    return Place(generation: last.generation, position: stored.count)
  }

  // MARK: Cursors

  func cursor(_ place: Place) -> Cursor {
    Cursor(backend: Self.backendName, generation: "g\(place.generation)", native: "\(place.position)")
  }

  func place(of cursor: Cursor) throws(SeamError) -> Place {
    let (tag, native) = try cursor.parts(for: Self.backendName)
    func malformed() -> SeamError {
      SeamError(.cursorInvalid, operation: "read cursor", cause: "no place in a simulated log: '\(cursor.text)'")
    }
    guard let position = Int(native), position >= 0, native.utf8.allSatisfy({ (48...57).contains($0) }) else {
      throw malformed()
    }
    guard let tag else { return Place(generation: generation, position: position) }
    guard tag.first == "g", let number = Int(tag.dropFirst()), number > 0 else { throw malformed() }
    return Place(generation: number, position: position)
  }

  // MARK: Writing

  /// Stores a draft, or finds the message that its key has stored before.
  mutating func append(_ draft: Draft, at milliseconds: Int64, ignoringKeys: Bool) throws(SeamError) -> Receipt {
    let scoped = draft.author.keyScope + "\u{1f}" + draft.key.text
    if !ignoringKeys, let position = keys[scoped] {
      let earlier = stored[position - 1].message
      guard
        draft.matches(
          content: earlier.content, inReplyTo: earlier.inReplyTo, to: earlier.to, attributes: earlier.attributes)
      else {
        throw SeamError(.keyReused, operation: "post", cause: "the key was used for message \(earlier.id)")
      }
      return Receipt(
        id: earlier.id, cursor: earlier.cursor, storedAt: earlier.storedAt, durability: .written, isDuplicate: true)
    }
    let place = Place(generation: generation, position: stored.count + 1)
    let storedAt = max(milliseconds, stored.last?.message.storedAt ?? 0)
    let message = Message(
      topic: topic, sender: draft.author.handle, instance: draft.author.instance, content: draft.content,
      timestamp: Timestamp.text(storedAt), storedAt: storedAt, id: MessageID("\(place.position)"),
      cursor: cursor(place), inReplyTo: draft.inReplyTo, to: draft.to, attributes: draft.attributes)
    stored.append(Stored(message: message, generation: generation))
    keys[scoped] = place.position
    return Receipt(id: message.id, cursor: message.cursor, storedAt: storedAt, durability: .written)
  }

  // MARK: Reading

  /// At most `limit` messages after a place; stops before a hole, so that a gap always comes first in a reading.
  func read(after place: Place, limit: Int, bytes: Int = .max) -> Reading {
    var reading = Reading(next: place)
    var position = place.position
    let oldest = Place(generation: generation, position: trimmed.position)
    func tell(_ reason: String, certain: Bool, to end: Place) {
      let isCertain = certain || reading.gap?.isCertain == true
      reading.gap = Gap(topic: topic, from: cursor(place), to: cursor(end), reason: reason, isCertain: isCertain)
      reading.next = end
      position = end.position
    }
    if position > stored.count {
      tell("the log ends before the cursor", certain: false, to: oldest)
    } else if position < trimmed.position || (position == trimmed.position && place.generation < trimmed.generation) {
      tell("older messages were removed", certain: position < trimmed.position, to: oldest)
    } else if let hole = holes.first(where: { $0.from <= position && position <= $0.through }),
      place.generation < hole.generation
    {
      let behind = Place(generation: hole.generation, position: hole.through)
      tell("the newest messages were lost", certain: position < hole.through, to: behind)
    }
    var left = bytes
    while position < stored.count, reading.messages.count < limit {
      if let hole = holes.first(where: { $0.from == position + 1 }) {
        if !reading.messages.isEmpty { break }
        tell("messages were lost", certain: true, to: Place(generation: hole.generation, position: hole.through))
        continue
      }
      let entry = stored[position]
      left -= entry.message.content.utf8.count
      if left < 0, !reading.messages.isEmpty { break }
      position += 1
      reading.messages.append(entry.message)
      reading.next = Place(generation: entry.generation, position: position)
    }
    reading.hasMore = position < stored.count
    return reading
  }

  /// At most `limit` messages just before a position, ascending, and whether there are older ones. Stops at a hole; one
  /// that begins before it has found anything is told and crossed.
  func read(
    before place: Place, limit: Int, storedSince: Int64? = nil, bytes: Int = .max
  ) -> (Reading, hasOlder: Bool) {
    var position = min(place.position, stored.count + 1)
    var reading = Reading(next: place)
    func gap(to end: Place, _ reason: String) -> Gap {
      Gap(topic: topic, from: cursor(place), to: cursor(end), reason: reason, isCertain: true)
    }
    if place.position <= trimmed.position {
      reading.gap = gap(to: Place(generation: generation, position: trimmed.position), "older messages were removed")
    }
    var left = bytes
    var hasOlder = false
    while position - 1 > trimmed.position {
      let entry = stored[position - 2]
      if entry.isRemoved {
        hasOlder = !reading.messages.isEmpty
        guard !hasOlder, let hole = holes.first(where: { $0.from < position && position - 1 <= $0.through }) else {
          break
        }
        reading.gap = gap(to: Place(generation: hole.generation, position: hole.through), "messages were lost")
        position = hole.from
        continue
      }
      if let storedSince, entry.message.storedAt < storedSince { break }
      left -= entry.message.content.utf8.count
      if reading.messages.count == limit || (left < 0 && !reading.messages.isEmpty) {
        hasOlder = true
        break
      }
      position -= 1
      if reading.messages.isEmpty { reading.next = Place(generation: entry.generation, position: position) }
      reading.messages.append(entry.message)
    }
    reading.messages.reverse()
    return (reading, hasOlder)
  }

  /// The newest `limit` messages; the place is the end of the log, so that nothing after it is missed.
  func readLatest(limit: Int, bytes: Int = .max) -> (Reading, hasOlder: Bool) {
    var (reading, hasOlder) = read(
      before: Place(generation: generation, position: stored.count + 1), limit: limit, bytes: bytes)
    reading.gap = nil
    reading.next = end
    return (reading, hasOlder)
  }

  // MARK: Removing

  /// Removes the oldest messages, but for the newest `keeping` positions.
  mutating func trim(keeping: Int) { trim(through: stored.count - keeping) }

  /// Removes messages stored before `milliseconds`.
  mutating func expire(storedBefore milliseconds: Int64) {
    trim(through: stored.firstIndex { $0.message.storedAt >= milliseconds } ?? stored.count)
  }

  private mutating func trim(through position: Int) {
    guard position > trimmed.position else { return }
    for index in trimmed.position..<position { stored[index].isRemoved = true }
    // A hole that is half trimmed goes whole: there is nothing in it to keep.
    var end = position
    for hole in holes where hole.from <= position + 1 && hole.through >= position { end = max(end, hole.through) }
    let swallowed = holes.filter { $0.through <= end }
    trimmed = Place(
      generation: swallowed.map(\.generation).max().map { max($0, trimmed.generation) } ?? trimmed.generation,
      position: end)
    holes.removeAll { $0.through <= end }
  }

  /// Loses the newest `count` messages, as a failover to a copy that lags behind does.
  mutating func loseTail(_ count: Int) {
    let through = stored.count
    let from = max(through - count, trimmed.position) + 1
    guard from <= through else { return }
    for index in (from - 1)..<through { stored[index].isRemoved = true }
    keys = keys.filter { $0.value < from }
    generation += 1
    holes.removeAll { $0.from >= from }
    let joined = holes.firstIndex { $0.through >= from - 1 }.map { holes.remove(at: $0) }
    holes.append(Hole(from: min(joined?.from ?? from, from), through: through, generation: generation))
  }
}
