import ParleyRuntime

/// One message as its stream holds it, however it was read.
final class StoredMessage: Sendable {
  /// Its place in the stream.
  let sequence: UInt64
  /// When the stream stored it, in milliseconds since 1970.
  let storedAt: Int64
  /// The subject it was published to.
  let subject: String
  /// The payload.
  let data: [UInt8]
  /// The headers that matter here.
  let headers: WireHeaders

  /// From a consumer's delivery.
  init(_ message: borrowing NATSMessage, _ delivered: Delivered) {
    sequence = delivered.sequence
    storedAt = delivered.nanoseconds / 1_000_000
    subject = message.subjectText
    data = message.data
    headers = WireHeaders(message)
  }

  /// From a direct get, whose reply carries the place in headers; nil where it does not.
  init?(direct message: borrowing NATSMessage) {
    guard let sequence = message.header("Nats-Sequence").flatMap(UInt64.init),
      let time = message.header("Nats-Time-Stamp").flatMap(Timestamp.nanoseconds)
    else { return nil }
    self.sequence = sequence
    storedAt = time / 1_000_000
    subject = message.header("Nats-Subject") ?? ""
    data = message.data
    headers = WireHeaders(message)
  }

  /// From the reply to `STREAM.MSG.GET`, whose payload and headers are in base64; nil where it is malformed.
  init?(reply: JSONSlice) {
    let message = reply.member("message") ?? .emptyObject
    let members = message.members(["seq", "subject", "time", "data", "hdrs"])
    guard let sequence = members[0]?.int, sequence > 0,
      let time = members[2]?.string.flatMap(Timestamp.nanoseconds),
      let data = Base64.decode(members[3]?.string ?? ""), let block = Base64.decode(members[4]?.string ?? "")
    else { return nil }
    self.sequence = UInt64(sequence)
    storedAt = time / 1_000_000
    subject = members[1]?.string ?? ""
    self.data = data
    headers = WireHeaders(block: block)
  }
}

/// The headers that Parley gives a message beside the payload that it shares with the TypeScript Parley.
struct WireHeaders: Hashable, Sendable {
  /// `Nats-Msg-Id`: the key, scoped to its author.
  var key: String?
  /// `Parley-Instance`: the sender's process.
  var instance: String?
  /// `Parley-To`: the one handle it is meant for.
  var to: String?
  /// `Parley-Attributes`: a flat JSON object of strings.
  var attributes: String?

  init(key: String? = nil, instance: String? = nil, to: String? = nil, attributes: String? = nil) {
    self.key = key
    self.instance = instance
    self.to = to
    self.attributes = attributes
  }

  init(_ message: borrowing NATSMessage) {
    key = message.header("Nats-Msg-Id")
    instance = message.header("Parley-Instance")
    to = message.header("Parley-To")
    attributes = message.header("Parley-Attributes")
  }

  /// Reads a header block (`NATS/1.0`, lines of `Name: value`, CR LF); the first of several counts.
  init(block: [UInt8]) {
    for line in block.split(separator: UInt8(ascii: "\n")).dropFirst() {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
      var bytes = line[(colon + 1)...].drop { $0 == 0x20 }
      while let last = bytes.last, last == 0x20 || last == 0x0d { bytes.removeLast() }
      let value = String(decoding: bytes, as: UTF8.self)
      switch String(decoding: line[..<colon], as: UTF8.self) {
      case "Nats-Msg-Id": key = key ?? value
      case "Parley-Instance": instance = instance ?? value
      case "Parley-To": to = to ?? value
      case "Parley-Attributes": attributes = attributes ?? value
      default: break
      }
    }
  }
}
