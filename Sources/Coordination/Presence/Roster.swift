import ParleyRuntime

/// One participant as others see it: all processes of one handle, or a person in a chat client.
public struct Participant: Hashable, Sendable {
  /// The name it goes by.
  public var handle: Handle
  /// What kind it is.
  public var party: PresenceRecord.Party
  /// It is there now; a person: spoke so lately.
  public var isOnline: Bool
  /// The topics it subscribes; those a person spoke in.
  public var topics: [String]
  /// Patterns of topics that it may post to.
  public var postTopics: [String]
  /// When it was last heard of, milliseconds since 1970 by the store's clock.
  public var lastSeen: Int64
  /// What it says it is doing.
  public var status: String?
  /// What reaches it at once; nil where it does not say.
  public var listens: PresenceRecord.Listening?
  /// How many processes use the handle now: more than one shares it.
  public var instances: Int
}

extension PresenceFold {
  /// Who there is at a time: the handles of live processes, and those heard of within `since` milliseconds, the last
  /// heard of first. `lifetime` is for records that name none.
  public func roster(at now: Int64, lifetime: Int64, since: Int64) -> [Participant] {
    Dictionary(grouping: all, by: \.handle).compactMap { handle, processes in
      let live = processes.filter { $0.isLive(at: now, lifetime: lifetime) }
      let newestFirst = processes.sorted { ($0.storedAt, $0.record.instance) > ($1.storedAt, $1.record.instance) }
      guard let newest = newestFirst.first, !live.isEmpty || now - newest.storedAt < since else { return nil }
      let current = live.isEmpty ? [newest] : newestFirst.filter(live.contains)
      return Participant(
        handle: handle, party: current.compactMap(\.record.party).first ?? .agent, isOnline: !live.isEmpty,
        topics: Self.union(current.map(\.record.topics)), postTopics: Self.union(current.map(\.record.postTopics)),
        lastSeen: newest.storedAt, status: current.compactMap(\.record.status).first,
        listens: current.compactMap(\.record.listens).first, instances: live.count)
    }
    .sorted { ($1.lastSeen, $0.handle) < ($0.lastSeen, $1.handle) }
  }

  private static func union(_ lists: [[String]]) -> [String] {
    var seen: Set<String> = []
    return lists.flatMap { $0 }.filter { seen.insert($0).inserted }
  }
}

/// Which participants somebody asks for.
public struct RosterQuery: Hashable, Sendable {
  /// A glob over handles: `*` any run, `?` one character.
  public var filter: String?
  /// Only those that can be reached on this topic; nil for any topic of ours.
  public var topic: Topic?
  /// Leave out who is not there now.
  public var onlineOnly = false
  /// Those who are offline are listed for so long, in milliseconds.
  public var since: Int64 = 86_400_000
  /// At most so many.
  public var limit: Int?

  /// Everybody who was there in the last day.
  public init() {}
}

/// Handles against a glob: `*` any run, `?` one UTF-16 unit, everything else itself; anchored, in linear time.
struct Glob {
  static let limit = 256
  private let pattern: [UInt16]

  /// A pattern over the limit matches nothing.
  init?(_ text: String) {
    pattern = Array(text.utf16)
    guard pattern.count <= Self.limit else { return nil }
  }

  func matches(_ text: String) -> Bool {
    let (star, any) = (UInt16(UInt8(ascii: "*")), UInt16(UInt8(ascii: "?")))
    let text = Array(text.utf16)
    var (at, place) = (0, 0)
    // Where the last star stood, and up to where it has swallowed: the only place to go back to.
    var retry: (pattern: Int, text: Int)?
    while place < text.count {
      if at < pattern.count, pattern[at] == star {
        retry = (at + 1, place)
        at += 1
      } else if at < pattern.count, pattern[at] == any || pattern[at] == text[place] {
        at += 1
        place += 1
      } else if let (pattern, swallowed) = retry {
        at = pattern
        place = swallowed + 1
        retry = (pattern, place)
      } else {
        return false
      }
    }
    return pattern[at...].allSatisfy { $0 == star }
  }
}
