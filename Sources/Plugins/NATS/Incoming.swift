import ParleyRuntime

/// One received message, told apart by where it came.
enum Incoming: Sendable {
  /// The answer to a request of ours.
  case answer(ticket: UInt64, Answer)
  /// A consumer's delivery.
  case delivery(Delivered, StoredMessage)
  /// A consumer's word about itself: heartbeat, end of a pull, its own end.
  case status(consumer: UInt64, ConsumerStatus)
  /// A stream was made.
  case streamMade(String)
  /// A stream was deleted.
  case streamDeleted(String)
  /// A stream has another leader.
  case leaderElected(String)
  /// What is only a sign of life.
  case other

  /// The last token of our inbox's subjects: `<ticket>`, `c<consumer>`, or a letter for what nobody waits for.
  init(_ message: borrowing NATSMessage, inbox: [UInt8]) {
    guard message.hasSubject(inbox) else {
      self = Self.elsewhere(message)
      return
    }
    let (isConsumer, number) = message.withSubject(from: inbox.count) { token in
      let isConsumer = token.count > 0 && token[0] == UInt8(ascii: "c")
      return (isConsumer, Delivered.number(isConsumer ? token.extracting(droppingFirst: 1) : token))
    }
    guard let number else {
      self = .other
      return
    }
    self = isConsumer ? .status(consumer: number, ConsumerStatus(message)) : .answer(ticket: number, Answer(message))
  }

  private static func elsewhere(_ message: borrowing NATSMessage) -> Incoming {
    if message.hasReply(Delivered.prefix), let delivered = Delivered(message.reply) {
      return .delivery(delivered, StoredMessage(message, delivered))
    }
    let parts = message.subject.split(separator: UInt8(ascii: "."))
    guard parts.count == 6, parts[0].elementsEqual("$JS".utf8) else { return .other }
    let stream = String(decoding: parts[5], as: UTF8.self)
    return switch String(decoding: parts[4], as: UTF8.self) {
    case "CREATED": .streamMade(stream)
    case "DELETED": .streamDeleted(stream)
    case "LEADER_ELECTED": .leaderElected(stream)
    default: .other
    }
  }
}

/// What the server answers to a request.
struct Answer: Sendable {
  /// The status header of an answer without payload, for example 503 when nobody listens.
  let status: Int?
  /// The payload.
  let data: [UInt8]
  /// The message, where it is a direct get's.
  let direct: StoredMessage?

  /// Nobody listens there.
  static let nobody = Answer()

  private init() {
    status = 503
    data = []
    direct = nil
  }

  init(_ message: borrowing NATSMessage) {
    let data = message.data
    self.data = data
    status = data.isEmpty ? message.header("Status").flatMap { Int($0) } : nil
    direct = status == nil ? StoredMessage(direct: message) : nil
  }
}

/// A consumer's status message (ADR-9, ADR-13).
enum ConsumerStatus: Sendable {
  /// It lives; `delivered` is the number of its last delivery.
  case heartbeat(delivered: UInt64)
  /// A pull is over; so many of its messages did not come.
  case pullEnded(remaining: Int)
  /// It is gone, or does not work as it should; the server's reason.
  case broken(String)
  /// Something else, which is a sign of life.
  case other

  init(_ message: borrowing NATSMessage) {
    let text = message.header("Description") ?? ""
    switch message.header("Status") {
    case "100":
      self = message.header("Nats-Last-Consumer").flatMap(UInt64.init).map(ConsumerStatus.heartbeat) ?? .other
    case "404", "408":
      self = .pullEnded(remaining: message.header("Nats-Pending-Messages").flatMap { Int($0) } ?? 0)
    case let status?: self = .broken("\(status) \(text)")
    case nil: self = .other
    }
  }
}
