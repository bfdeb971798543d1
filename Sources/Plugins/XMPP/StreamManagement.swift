import ParleyRuntime

/// The counting of XEP-0198: which of our stanzas the server has handled, and how many of its own we have.
///
/// Both counts are of 32 bits and begin again after the last.
struct StreamManagement: Hashable, Sendable {
  /// What resumes the stream; nil where the server does not offer that.
  var resumption: String?
  /// How long the server keeps a stream that was cut.
  var keeps: Duration = .zero
  /// Stanzas that we handled.
  var received: UInt32 = 0
  /// Those of them that the server was told of.
  private(set) var acknowledged: UInt32 = 0
  /// Stanzas that we sent.
  private(set) var sent: UInt32 = 0
  /// Those of ours that the server said it has handled.
  private(set) var handled: UInt32 = 0

  /// Counts a stanza of ours; its number.
  mutating func count() -> UInt32 {
    sent &+= 1
    return sent
  }

  /// Whether we handled so many, or more, that the server was not told of.
  func isUnacknowledged(_ count: UInt32) -> Bool { received &- acknowledged >= count }

  /// What the server is told now: how many stanzas we handled.
  mutating func acknowledgeReceived() -> UInt32 {
    acknowledged = received
    return received
  }

  /// Takes the server's word; false for one that cannot be: more than was sent, or less than was handled already.
  mutating func acknowledge(_ number: UInt32) -> Bool {
    guard number &- handled <= sent &- handled else { return false }
    handled = number
    return true
  }

  /// After a resumption: what the server has not handled it never will, since we send it anew as a new stanza.
  mutating func resumed(_ number: UInt32) -> Bool {
    guard acknowledge(number) else { return false }
    sent = number
    return true
  }

  /// Whether the server, having handled so many, has handled the stanza of that number.
  static func covers(_ handled: UInt32, _ number: UInt32) -> Bool { Int32(bitPattern: handled &- number) >= 0 }
}

/// What is left of a session that was cut, from which the next may resume it.
struct ResumableStream: Sendable {
  let management: StreamManagement
  let jid: JID
  let endedAt: LoopInstant

  /// Whether the server may still keep it.
  func isAlive(at now: LoopInstant) -> Bool {
    management.resumption != nil && endedAt.duration(to: now) < management.keeps
  }
}
