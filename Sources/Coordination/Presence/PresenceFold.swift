import ParleyRuntime

/// Which processes told of themselves on the presence topic, and which of them holds each handle.
public struct PresenceFold: TopicFold, Hashable {
  /// Processes that are remembered; those heard of longest ago make room.
  static let capacity = 10_000

  /// One process of one participant.
  public struct Process: Hashable, Sendable {
    /// The name it goes by.
    public var handle: Handle
    /// The account that its records come from, where senders have accounts: another's record of the same process is
    /// that one's own.
    public var account: String?
    /// The newest record in log order.
    public var record: PresenceRecord
    /// When the store took it, milliseconds since 1970.
    public var storedAt: Int64

    /// Whether the process is there at a time; `lifetime` (milliseconds) where its record names none.
    public func isLive(at now: Int64, lifetime: Int64) -> Bool {
      record.phase != .goodbye && now - storedAt < record.lifetime ?? lifetime
    }
  }

  /// Who holds a handle: the first that said hello while nobody did, until its goodbye or its silence.
  public struct Holder: Hashable, Sendable {
    /// The process.
    public var instance: String
    /// Its account, where senders have accounts.
    public var account: String?
    /// When the lease ends unless it is renewed, by the store's clock.
    public var until: Int64
  }

  private struct Key: Hashable {
    var handle: Handle
    var account: String?
    var instance: String
  }

  private var processes: [Key: Process] = [:]
  /// The leases on handles by log order, among processes of this program.
  public private(set) var holders: [Handle: Holder] = [:]
  /// Messages on the topic that are no records.
  public private(set) var ignoredEvents = 0

  /// Nobody there yet.
  public init() {}

  package static func concerns(_ message: Message) -> Bool { true }

  /// Takes the next message of the presence topic; nil where it is no record.
  @discardableResult
  package mutating func apply(_ message: Message) -> PresenceRecord? {
    guard !message.isLate, let record = PresenceRecord(message.content, storedAt: message.storedAt) else {
      ignoredEvents += 1
      return nil
    }
    let process = Process(
      handle: message.sender, account: message.account, record: record, storedAt: message.storedAt)
    processes[Key(handle: process.handle, account: process.account, instance: record.instance)] = process
    if processes.count > Self.capacity { makeRoom() }
    if record.isOurs { lease(process) }
    return record
  }

  /// A hello takes a free handle; a beat of whoever held it before this log was read does too, and renews.
  private mutating func lease(_ process: Process) {
    let record = process.record
    let current = holders[process.handle].flatMap { $0.until > process.storedAt ? $0 : nil }
    guard current == nil || current?.instance == record.instance && current?.account == process.account else { return }
    switch record.phase {
    case .goodbye: holders[process.handle] = nil
    case .hello, .heartbeat:
      guard current != nil || record.phase == .hello || record.holds else { return }
      holders[process.handle] = Holder(
        instance: record.instance, account: process.account, until: process.storedAt + (record.lifetime ?? 0))
    }
  }

  private mutating func makeRoom() {
    let kept = processes.sorted { $0.value.storedAt > $1.value.storedAt }.prefix(Self.capacity * 9 / 10)
    processes = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    holders = holders.filter {
      processes[Key(handle: $0.key, account: $0.value.account, instance: $0.value.instance)] != nil
    }
  }

  /// Every process that was heard of, in no order.
  public var all: some Collection<Process> { processes.values }

  /// The processes of a handle that are there at a time, by instance.
  public func live(_ handle: Handle, at now: Int64, lifetime: Int64) -> [Process] {
    processes.values.filter { $0.handle == handle && $0.isLive(at: now, lifetime: lifetime) }
      .sorted { $0.record.instance < $1.record.instance }
  }

  /// Who holds a handle at a time.
  public func holder(of handle: Handle, at now: Int64) -> Holder? {
    holders[handle].flatMap { $0.until > now ? $0 : nil }
  }
}
