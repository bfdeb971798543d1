/// The last events of a session, so that a client whose connection broke gets what it missed.
struct EventLog {
  /// One event, by the stream it belongs to and its number in that stream, from 1.
  struct Entry {
    let stream: Int
    let number: Int
    let message: [UInt8]
  }

  private let limit: Int
  private var entries: [Entry] = []
  private var head = 0
  private var bytes = 0

  /// Keeps events of so many bytes in all.
  init(limit: Int) { self.limit = limit }

  mutating func append(_ message: [UInt8], stream: Int, number: Int) {
    entries.append(Entry(stream: stream, number: number, message: message))
    bytes += message.count + 64
    while bytes > limit, head < entries.count - 1 {
      bytes -= entries[head].message.count + 64
      head += 1
    }
    if head > 64, head > entries.count / 2 {
      entries.removeSubrange(0..<head)
      head = 0
    }
  }

  /// The events of a stream after a number, in order.
  func events(of stream: Int, after number: Int) -> [Entry] {
    entries[head...].filter { $0.stream == stream && $0.number > number }
  }
}

/// The id of an event: its stream and its number there, so that a resuming client names both.
struct EventID: Hashable {
  let stream: Int
  let number: Int

  var text: String { "\(stream)-\(number)" }

  init(stream: Int, number: Int) {
    self.stream = stream
    self.number = number
  }

  init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let stream = Int(parts[0]), let number = Int(parts[1]), stream >= 0, number >= 0,
      text == "\(stream)-\(number)"
    else { return nil }
    self.init(stream: stream, number: number)
  }
}
