/// What `HistoryChecker` found: every list names its offenders, all empty means clean.
public struct Verdict: Hashable, Sendable, CustomStringConvertible {
  /// Acknowledged, but neither in the final log nor among what was removed on purpose; or acknowledged with the id of
  /// another message.
  public var lost: [String] = []
  /// Two entries of the log for one key, or seen twice by one reader.
  public var duplicated: [String] = []
  /// A reader's order, or the order of one writer's acknowledged posts, disagrees with the final log.
  public var outOfOrder: [String] = []
  /// A reader passed over entries without having been told a gap there.
  public var untoldGaps: [String] = []
  /// Delivered or logged, but never attempted; or delivered under an id or text that the log does not have.
  public var phantoms: [String] = []
  /// Reported as certainly not stored, but in the log.
  public var falseFailures: [String] = []
  /// Unknown outcomes that were counted as success without another attempt.
  public var unknownAsSuccess: [String] = []

  /// How many posts were attempted, each once however often it was retried.
  public var attempted = 0
  /// Posts whose last outcome was an acknowledgement.
  public var acknowledged = 0
  /// Posts whose last outcome was "not stored".
  public var failed = 0
  /// Posts whose last outcome was unknown (or that never ended).
  public var unknown = 0
  /// Entries of the log that were removed on purpose.
  public var removed = 0
  /// Entries of the log that are there at the end.
  public var present = 0
  /// Readers.
  public var readers = 0
  /// Messages that all readers were given.
  public var delivered = 0
  /// Gaps that all readers were told.
  public var gapsTold = 0

  private var lists: [(name: String, offenders: [String])] {
    [
      ("lost", lost), ("duplicated", duplicated), ("out of order", outOfOrder), ("gaps untold", untoldGaps),
      ("phantom", phantoms), ("false failures", falseFailures), ("unknown counted as success", unknownAsSuccess),
    ]
  }

  /// An empty verdict, to add others to.
  public init() {}

  /// Adds the counts and offenders of another history, for example another topic's.
  public mutating func add(_ other: Verdict) {
    lost += other.lost
    duplicated += other.duplicated
    outOfOrder += other.outOfOrder
    untoldGaps += other.untoldGaps
    phantoms += other.phantoms
    falseFailures += other.falseFailures
    unknownAsSuccess += other.unknownAsSuccess
    attempted += other.attempted
    acknowledged += other.acknowledged
    failed += other.failed
    unknown += other.unknown
    removed += other.removed
    present += other.present
    readers += other.readers
    delivered += other.delivered
    gapsTold += other.gapsTold
  }

  /// Whether nothing is wrong.
  public var isClean: Bool { lists.allSatisfy { $0.offenders.isEmpty } }

  /// Counts on one line, then the first three offenders of each kind.
  public var description: String {
    var lines = [
      "\(attempted) posts (\(acknowledged) acknowledged, \(failed) not stored, \(unknown) unknown), "
        + "log \(present) + \(removed) removed, \(readers) readers, \(delivered) deliveries, \(gapsTold) gaps told: "
        + lists.map { "\($0.offenders.count) \($0.name)" }.joined(separator: ", ")
    ]
    for list in lists where !list.offenders.isEmpty {
      lines += list.offenders.prefix(3).map { "  \(list.name): \($0)" }
      if list.offenders.count > 3 { lines.append("  \(list.name): and \(list.offenders.count - 3) more") }
    }
    return lines.joined(separator: "\n")
  }
}
