import ParleyRuntime

/// Who goes by which name: a part of folds, by log order and the store's clock alone.
///
/// A name is held by one session until it drops it or is silent for the time that it said. Whoever asks for a held name
/// is refused by every reader of the log alike; nobody but the holder can drop a name that is held.
struct NameTable: Hashable, Sendable {
  /// One name.
  struct Entry: Hashable, Sendable {
    var name: String
    /// The session that holds it.
    var session: String
    /// The account that took it, where senders have accounts: who says the session's words by another is somebody else.
    var account: String?
    /// What the name's holder says of itself there.
    var detail: String
    /// Milliseconds since 1970 by the store's clock.
    var joinedAt: Int64
    var lastSeen: Int64
    /// The lease ends then unless it is taken again.
    var until: Int64
    /// Grows with every name that is taken.
    var number: Int
  }

  /// Names that are remembered; those that ended first make room.
  private static let capacity = 10_000

  private var entries: [String: Entry] = [:]
  private var lastNumber = 0

  /// Who holds a name at a time.
  func holder(of name: String, at now: Int64) -> Entry? {
    entries[name].flatMap { now < $0.until ? $0 : nil }
  }

  /// The names that are held at a time, in the order in which they were taken.
  func held(at now: Int64) -> [Entry] {
    entries.values.filter { now < $0.until }.sorted { $0.number < $1.number }
  }

  /// Takes a name, or takes it again; false where another session holds it.
  mutating func take(
    _ name: String, session: String, account: String?, detail: String, at now: Int64, until: Int64
  ) -> Bool {
    if var entry = holder(of: name, at: now) {
      guard entry.session == session, entry.account == account else { return false }
      entry.detail = detail
      entry.lastSeen = now
      entry.until = until
      entries[name] = entry
      return true
    }
    lastNumber += 1
    entries[name] = Entry(
      name: name, session: session, account: account, detail: detail, joinedAt: now, lastSeen: now, until: until,
      number: lastNumber)
    if entries.count > Self.capacity {
      let kept = entries.values.sorted { $0.until > $1.until }.prefix(Self.capacity * 9 / 10)
      entries = Dictionary(uniqueKeysWithValues: kept.map { ($0.name, $0) })
    }
    return true
  }

  /// The holder has just shown that it is there.
  mutating func note(_ name: String, session: String?, at now: Int64) {
    guard let entry = holder(of: name, at: now), entry.session == session else { return }
    entries[name]?.lastSeen = now
  }

  /// Drops a name; false where another session holds it, or nobody does.
  mutating func drop(_ name: String, session: String, account: String?, at now: Int64) -> Bool {
    guard isHeld(name, by: session, account: account, at: now) else { return false }
    entries[name] = nil
    return true
  }

  /// Drops every name of a session.
  mutating func drop(session: String, account: String?) {
    entries = entries.filter { $0.value.session != session || $0.value.account != account }
  }

  /// Whether a session holds a name at a time.
  func isHeld(_ name: String, by session: String, account: String?, at now: Int64) -> Bool {
    holder(of: name, at: now).map { $0.session == session && $0.account == account } ?? false
  }
}
