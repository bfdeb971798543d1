import ParleyRuntime

/// The subjects and requests of JetStream's API (`io.nats.jetstream.api.v1`), sent and answered on our own inbox.
struct JetStreamAPI: Sendable {
  private let prefix: String

  init(domain: String?) { prefix = domain.map { "$JS.\($0).API." } ?? "$JS.API." }

  var accountInfo: String { prefix + "INFO" }
  var streamNames: String { prefix + "STREAM.NAMES" }
  func streamInfo(_ stream: String) -> String { prefix + "STREAM.INFO." + stream }
  func createStream(_ stream: String) -> String { prefix + "STREAM.CREATE." + stream }
  func message(_ stream: String) -> String { prefix + "STREAM.MSG.GET." + stream }
  func directMessage(_ stream: String) -> String { prefix + "DIRECT.GET." + stream }
  func createConsumer(_ stream: String, _ name: String) -> String { prefix + "CONSUMER.CREATE.\(stream).\(name)" }
  func deleteConsumer(_ stream: String, _ name: String) -> String { prefix + "CONSUMER.DELETE.\(stream).\(name)" }
  func next(_ stream: String, _ consumer: String) -> String { prefix + "CONSUMER.MSG.NEXT.\(stream).\(consumer)" }

  /// Told of streams that are made and deleted or get another leader, where the account may listen.
  static let streamAdvisories = ["CREATED", "DELETED", "LEADER_ELECTED"].map { "$JS.EVENT.ADVISORY.STREAM.\($0).*" }

  // MARK: Requests

  static func stream(_ names: TopicNames, _ options: NATSOptions) -> [UInt8] {
    var writer = JSONWriter(capacity: 512)
    writer.beginObject()
    writer.field("name", names.stream)
    writer.key("subjects")
    writer.beginArray()
    writer.string(names.subject)
    writer.endArray()
    writer.field("retention", "limits")
    writer.field("discard", "old")
    writer.field("storage", options.storage.rawValue)
    writer.field("num_replicas", options.replicas)
    writer.field("max_bytes", options.maximumBytes ?? -1)
    writer.field("max_msgs", -1)
    writer.field("max_consumers", -1)
    let age = options.retention
    writer.field("max_age", age?.nanoseconds ?? 0)
    writer.field("duplicate_window", min(options.keyWindow, age ?? options.keyWindow).nanoseconds)
    writer.key("allow_direct")
    writer.bool(true)
    writer.endObject()
    return writer.bytes
  }

  /// A consumer of our own that delivers everything from a sequence number on to whoever asks, without acknowledgements.
  static func consumer(_ names: TopicNames, name: String, from sequence: UInt64, lingers: Duration) -> [UInt8] {
    var writer = JSONWriter(capacity: 512)
    writer.beginObject()
    writer.field("stream_name", names.stream)
    writer.key("config")
    writer.beginObject()
    writer.field("name", name)
    writer.field("deliver_policy", "by_start_sequence")
    writer.field("opt_start_seq", sequence)
    writer.field("ack_policy", "none")
    writer.field("replay_policy", "instant")
    writer.field("inactive_threshold", lingers.nanoseconds)
    writer.field("num_replicas", 1)
    writer.key("mem_storage")
    writer.bool(true)
    writer.endObject()
    writer.endObject()
    return writer.bytes
  }

  static func pull(_ count: Int, expires: Duration, heartbeat: Duration) -> [UInt8] {
    object { writer in
      writer.field("batch", count)
      writer.field("expires", expires.nanoseconds)
      writer.field("idle_heartbeat", heartbeat.nanoseconds)
    }
  }

  /// One message by its sequence number, or the first at or after it.
  static func get(_ sequence: UInt64, orNext: Bool) -> [UInt8] {
    object { writer in
      writer.field("seq", sequence)
      if orNext { writer.field("next_by_subj", ">") }
    }
  }

  /// Up to `count` messages from a sequence number on (servers since 2.11, ADR-31).
  static func batch(from sequence: UInt64, count: Int, bytes: Int) -> [UInt8] {
    object { writer in
      writer.field("seq", sequence)
      writer.field("batch", count)
      writer.field("max_bytes", bytes)
    }
  }

  static func names(offset: Int) -> [UInt8] { object { $0.field("offset", offset) } }

  private static func object(_ fill: (inout JSONWriter) -> Void) -> [UInt8] {
    var writer = JSONWriter(capacity: 96)
    writer.beginObject()
    fill(&writer)
    writer.endObject()
    return writer.bytes
  }

  // MARK: Replies

  /// The reply, or the error that it carries.
  static func reply(_ data: [UInt8]) throws(JetStreamFailure) -> JSONSlice {
    let reply: JSONSlice
    do throws(JSONError) { reply = try JSONSlice(data) } catch {
      guard let repaired = try? JSONSlice(GoQuoting.repaired(data)) else {
        throw JetStreamFailure(code: 500, number: 0, text: "the server's answer is no JSON: \(error)")
      }
      reply = repaired
    }
    guard let error = reply.member("error") else { return reply }
    throw JetStreamFailure(
      code: Int(error.member("code")?.int ?? 500), number: Int(error.member("err_code")?.int ?? 0),
      text: error.member("description")?.string ?? "an error without a description")
  }
}

/// The server writes a stream's name into its acknowledgements as Go quotes text (`%q`), which for what is not
/// printable is no JSON: `\x01`, `\a`, `\v`, `\U000e0001`.
enum GoQuoting {
  /// The text with those escapes as JSON writes them.
  static func repaired(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var index = 0
    func digits(_ count: Int) -> UInt32? {
      guard index + 2 + count <= text.count else { return nil }
      return UInt32(String(decoding: text[(index + 2)..<(index + 2 + count)], as: UTF8.self), radix: 16)
    }
    while index < text.count {
      guard text[index] == UInt8(ascii: "\\"), index + 1 < text.count else {
        result.append(text[index])
        index += 1
        continue
      }
      var (scalar, length): (Unicode.Scalar?, Int) = (nil, 2)
      switch text[index + 1] {
      case UInt8(ascii: "a"): scalar = "\u{7}"
      case UInt8(ascii: "v"): scalar = "\u{b}"
      case UInt8(ascii: "x"): (scalar, length) = (digits(2).flatMap(Unicode.Scalar.init), 4)
      case UInt8(ascii: "U"): (scalar, length) = (digits(8).flatMap(Unicode.Scalar.init), 10)
      default: break
      }
      if let scalar {
        for unit in String(scalar).utf16 {
          let hex = String(unit, radix: 16)
          result += Array("\\u".utf8) + Array(String(repeating: "0", count: 4 - hex.utf8.count).utf8) + Array(hex.utf8)
        }
      } else {
        length = 2
        result += text[index..<index + 2]
      }
      index += length
    }
    return result
  }
}

/// What the server answers to a publish.
struct PublishAck: Hashable, Sendable {
  let stream: String
  let sequence: UInt64
  /// The server had a message with this id.
  let isDuplicate: Bool
  /// Which was an attempt of ours at the same post.
  var isRepetition = false

  init(_ data: [UInt8]) throws(JetStreamFailure) {
    if let (name, sequence) = Self.plain(data) {
      stream = String(decoding: name, as: UTF8.self)
      self.sequence = sequence
      isDuplicate = false
      return
    }
    let reply = try JetStreamAPI.reply(data)
    let members = reply.members(["stream", "seq", "duplicate"])
    guard let stream = members[0]?.string, let sequence = members[1]?.int, sequence > 0 else {
      throw JetStreamFailure(code: 500, number: 0, text: "the server's answer is no acknowledgement")
    }
    self.stream = stream
    self.sequence = UInt64(sequence)
    isDuplicate = members[2]?.bool ?? false
  }

  /// The form in which servers acknowledge nearly every post, read without looking for others:
  /// `{"stream":"NAME","seq":NUMBER}`, the name of printable ASCII without escapes, perhaps a space before `"seq"`.
  private static func plain(_ data: [UInt8]) -> (name: ArraySlice<UInt8>, sequence: UInt64)? {
    var end = data.count - 1
    guard end > head.count, data[end] == UInt8(ascii: "}"), data.starts(with: head) else { return nil }
    while end > 0, (0x30...0x39).contains(data[end - 1]) { end -= 1 }
    guard let sequence = Delivered.number(data.span.extracting(end..<data.count - 1)), sequence > 0 else { return nil }
    end -= middle.count
    guard end >= head.count, data[end...].starts(with: middle) else { return nil }
    if data[end - 1] == 0x20 { end -= 1 }
    guard end >= head.count + 2, data[end - 1] == UInt8(ascii: ","), data[end - 2] == UInt8(ascii: "\"") else {
      return nil
    }
    let name = data[head.count..<end - 2]
    for byte in name where byte < 0x20 || byte > 0x7e || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
      return nil
    }
    return (name, sequence)
  }

  private static let head = Array(#"{"stream":""#.utf8)
  private static let middle = Array(#""seq":"#.utf8)
}

extension NATSOptions {
  /// How long messages stay in streams that we make; nil for ever.
  var retention: Duration? {
    retentionDays.flatMap { $0 > 0 ? .milliseconds(max(Int64($0 * 86_400_000), 1000)) : nil }
  }
}

extension JSONWriter {
  mutating func field(_ name: StaticString, _ value: String) {
    key(trusted: name)
    string(value)
  }

  mutating func field(_ name: StaticString, _ value: some FixedWidthInteger) {
    key(trusted: name)
    int(value)
  }
}
