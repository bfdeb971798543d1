import ParleyRuntime
import Synchronization

/// What the server says of a stream (`io.nats.jetstream.api.v1.stream_info_response`), as far as it matters here.
final class StreamFacts: Sendable {
  /// Names the incarnation: its creation time in nanoseconds, to the base 36.
  let generation: String
  /// The first sequence number that is there; `last + 1` when the stream is empty, at least 1.
  let first: UInt64
  /// The last sequence number that was given; 0 before the first message.
  let last: UInt64
  /// Messages between the two that were deleted.
  let deleted: Int
  /// Size of what is there, in bytes.
  let bytes: UInt64
  /// How many messages are there.
  let messages: UInt64
  /// Any server that keeps the stream may answer reads.
  let allowsDirect: Bool
  /// The subjects that it keeps.
  let subjects: [String]
  /// How long it remembers the ids of messages.
  let keyWindow: Duration
  /// The largest message it takes, in bytes; nil for the server's own limit.
  let maximumMessage: Int?
  /// How durable a message is once it is acknowledged.
  let durability: Durability
  /// What it gives to posts from now on.
  let numbers: StreamNumbers
  /// The version of the server that answered, where it says so (2.11 and later).
  let serverVersion: String?

  /// Reads the members of a reply, nil where they are not a stream's.
  init?(_ reply: JSONSlice) {
    let members = reply.members(["config", "state", "created"])
    guard let config = members[0], let state = members[1], let created = members[2]?.string,
      let time = Timestamp.nanoseconds(created)
    else { return nil }
    generation = String(time, radix: 36)
    last = Self.count(state.member("last_seq"))
    numbers = StreamNumbers(after: last)
    messages = Self.count(state.member("messages"))
    let first = Self.count(state.member("first_seq"))
    self.first = messages == 0 ? max(first, last + 1) : max(first, 1)
    deleted = Int(state.member("num_deleted")?.int ?? 0)
    bytes = Self.count(state.member("bytes"))
    allowsDirect = config.member("allow_direct")?.bool ?? false
    subjects = (config.member("subjects") ?? .emptyObject).elements.compactMap(\.string)
    keyWindow = .nanoseconds(config.member("duplicate_window")?.int ?? 0)
    maximumMessage = config.member("max_msg_size")?.int.flatMap { $0 > 0 ? Int($0) : nil }
    serverVersion = config.member("metadata")?.member("_nats.ver")?.string
    durability = Self.durability(config)
  }

  /// Whether it may keep messages of this subject; a pattern is believed to.
  func keeps(_ subject: String) -> Bool {
    subjects.contains { $0.utf8.elementsEqual(subject.utf8) || $0.contains("*") || $0.contains(">") }
  }

  /// A replicated stream acknowledges when a majority has the message. A single server has written, not synced, it: the
  /// default `sync_interval` is two minutes, and no reply tells it.
  private static func durability(_ config: JSONSlice) -> Durability {
    let replicas = Int(config.member("num_replicas")?.int ?? 1)
    if replicas > 1 { return .replicated(replicas / 2 + 1) }
    if config.member("storage")?.isString("memory") == true { return .unknown }
    return config.member("persist_mode")?.isString("async") == true ? .unknown : .written
  }

  private static func count(_ value: JSONSlice?) -> UInt64 { UInt64(max(value?.int ?? 0, 0)) }
}

/// The numbers that a stream gives to posts, by which it is noticed that it was deleted and made anew: an acknowledgement
/// does not tell, and may come before the word of it.
final class StreamNumbers: Sendable {
  private static let ended = UInt64.max
  private let last: Atomic<UInt64>

  /// `last` was given before.
  init(after last: UInt64) { self.last = Atomic(last) }

  /// Whether this may be of the stream as it was looked at: it is not known to be over, and counts up.
  func take(_ ack: PublishAck) -> Bool {
    let known = last.load(ordering: .relaxed)
    if ack.isDuplicate { return known != Self.ended }
    guard ack.sequence > known else { return false }
    last.store(ack.sequence, ordering: .relaxed)
    return true
  }

  /// The stream is deleted.
  func end() { last.store(Self.ended, ordering: .relaxed) }
}
