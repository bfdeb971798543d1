import ParleyRuntime

/// The keys in a room's archive: for each the first copy, as far back as keys count, two days at first use.
///
/// It reads on from where it stood, so that each use costs one request once it knows the past.
//
// @unchecked: confined to the loop's thread.
final class KeyLedger: @unchecked Sendable {
  /// A key of an account.
  struct Name: Hashable {
    let account: String
    let originID: String
  }

  struct Entry: Hashable {
    let id: String
    let storedAt: Int64
    let digest: [UInt8]
  }

  /// How far back a key counts, in milliseconds.
  static let window: Int64 = 86_400_000

  private(set) var entries: [Name: Entry] = [:]
  /// Entries stored from here on are known; nil before the first use.
  var reachesBackTo: Int64?
  /// The last entry that was read.
  var last: String?

  /// Forgets everything, for a log that is not the one it knew.
  func reset() {
    entries = [:]
    reachesBackTo = nil
    last = nil
  }

  /// Takes the next entry of the log; the first copy counts.
  func take(_ name: Name, _ entry: Entry) {
    if let known = entries[name], entry.storedAt - known.storedAt <= Self.window { return }
    entries[name] = entry
  }

  /// Whether a message of that time is the first copy as far as this ledger knows; nil where it does not reach.
  func isFirst(_ name: Name, id: String, storedAt: Int64) -> Bool? {
    guard let reachesBackTo, storedAt - Self.window >= reachesBackTo, let known = entries[name] else { return nil }
    return known.id == id
  }

  /// Forgets what is too old to count.
  func prune(now: Int64) {
    guard entries.count > 4096 else { return }
    entries = entries.filter { now - $0.value.storedAt <= 2 * Self.window }
    if let reachesBackTo { self.reachesBackTo = max(reachesBackTo, now - 2 * Self.window) }
  }
}
