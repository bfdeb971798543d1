import ParleyRuntime

/// One record on the presence topic: what the TypeScript Parley writes (v2), and after it what we add.
///
/// Both programs read each other's: unknown members are ignored, ours are absent in theirs.
public struct PresenceRecord: Hashable, Sendable {
  /// Which moment of a process's life the record tells of.
  public enum Phase: String, Hashable, Sendable {
    case hello
    case heartbeat
    case goodbye
  }

  /// What kind of participant is behind a handle.
  public enum Party: String, Hashable, Sendable, CaseIterable {
    case agent
    case person
    case bot
  }

  /// Which messages reach the participant at once, without its looking for them.
  public enum Listening: String, Hashable, Sendable {
    /// Everything on its topics.
    case all
    /// What mentions it or is directed to it.
    case mentions
    /// Nothing: it fetches or waits.
    case nothing = "none"
  }

  /// The moment.
  public var phase: Phase
  /// The writer's clock, milliseconds since 1970; our order and times are the store's.
  public var at: Int64
  /// The topics it subscribes.
  public var topics: [String]
  /// Patterns of topics that it may post to.
  public var postTopics: [String]
  /// Unique to one process.
  public var instance: String
  /// What kind of participant it is.
  public var party: Party?
  /// What it says it is doing.
  public var status: String?
  /// What reaches it at once.
  public var listens: Listening?
  /// Silent for so many milliseconds, it is gone; nil (TypeScript) for the reader's own idea.
  public var lifetime: Int64?
  /// The process holds its handle, as the log told it (see `PresenceFold.holders`).
  public var holds: Bool
  /// It answers what people in chat clients ask about tasks, when it is its turn.
  public var answers = true

  /// Makes a record without our additions.
  public init(phase: Phase, at: Int64, topics: [String], postTopics: [String], instance: String) {
    self.phase = phase
    self.at = at
    self.topics = topics
    self.postTopics = postTopics
    self.instance = instance
    holds = false
  }

  /// Written by this program, which knows of leases on handles.
  var isOurs: Bool { lifetime != nil }

  // MARK: Bytes

  /// Bounds that the TypeScript Parley sets too: UTF-16 units of a topic and of an instance, and topics kept.
  static let topicUnits = 512
  static let instanceUnits = 128
  static let topicCount = 64
  static let statusBytes = 256
  /// A writer's clock may be ahead of the store's by this much, in milliseconds.
  static let clockTolerance: Int64 = 300_000

  /// The content of the message, byte for byte as the TypeScript Parley writes it where nothing is added.
  public var text: String {
    var writer = JSONWriter(capacity: 256)
    writer.beginObject()
    writer.key("v")
    writer.int(2)
    writer.key("kind")
    writer.string(phase.rawValue)
    writer.key("at")
    writer.int(at)
    writer.strings("topics", topics.prefix(Self.topicCount))
    writer.strings("postTopics", postTopics.prefix(Self.topicCount))
    writer.key("instanceId")
    writer.string(instance)
    if let party {
      writer.key("party")
      writer.string(party.rawValue)
    }
    if let status {
      writer.key("status")
      writer.string(status)
    }
    if let listens {
      writer.key("listens")
      writer.string(listens.rawValue)
    }
    if let lifetime {
      writer.key("ttlMs")
      writer.int(lifetime)
    }
    if holds {
      writer.key("holds")
      writer.bool(true)
    }
    if !answers {
      writer.key("answers")
      writer.bool(false)
    }
    writer.endObject()
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  /// Reads a record; nil for what the TypeScript Parley would not accept either. Damaged additions count as absent.
  public init?(_ text: String, storedAt: Int64) {
    guard let object = Self.object(text), let version = object.member("v")?.double, version == 2,
      let phase = object.member("kind")?.string.flatMap(Phase.init), let at = Self.milliseconds(object.member("at")),
      at <= storedAt + Self.clockTolerance,
      let topics = Self.names(object.member("topics"))
    else { return nil }
    let instance = object.member("instanceId")?.string ?? ""
    self.init(
      phase: phase, at: at, topics: topics, postTopics: Self.names(object.member("postTopics")) ?? [],
      instance: String(decoding: instance.utf16.prefix(Self.instanceUnits), as: UTF16.self))
    party = object.member("party")?.string.flatMap(Party.init)
    listens = object.member("listens")?.string.flatMap(Listening.init)
    status = object.member("status")?.string.flatMap { $0.utf8.count <= Self.statusBytes && !$0.isEmpty ? $0 : nil }
    lifetime = object.member("ttlMs")?.int.flatMap { $0 > 0 && $0 <= Int64(Int32.max) ? $0 : nil }
    holds = object.member("holds")?.bool ?? false
    answers = object.member("answers")?.bool ?? true
  }

  private static func object(_ text: String) -> JSONSlice? {
    do throws(JSONError) {
      let value = try JSONSlice(text)
      return value.kind == .object ? value : nil
    } catch {
      return nil
    }
  }

  /// A finite number, cut to whole milliseconds.
  private static func milliseconds(_ value: JSONSlice?) -> Int64? {
    guard let value, value.kind == .number, let number = value.double, number.isFinite else { return nil }
    return Int64(exactly: number.rounded(.towardZero))
  }

  /// An array of non-empty strings (nil for anything else) without those that are too long, and only the first ones.
  private static func names(_ value: JSONSlice?) -> [String]? {
    guard let value, value.kind == .array else { return nil }
    var names: [String] = []
    for element in value.elements {
      guard let name = element.string, !name.isEmpty else { return nil }
      if name.utf16.count <= topicUnits, names.count < topicCount { names.append(name) }
    }
    return names
  }
}

extension JSONWriter {
  /// Writes a member that is an array of strings.
  mutating func strings(_ name: String, _ values: some Sequence<String>) {
    key(name)
    beginArray()
    for value in values { string(value) }
    endArray()
  }
}
