import ParleyRuntime

/// Turns pushes into channel notifications, at once, and counts instead of sending while the client cannot take them.
///
/// Until the handshake is finished, events are kept up to a bound; while the client is slow they are not kept at all,
/// but told as one line of counts when it has caught up. Gaps are always told. Confined to its loop.
//
// @unchecked: confined to the loop's thread.
package final class ChannelFeed: @unchecked Sendable {
  private let heldLimit: Int
  private let lines: PushedLines
  private let output: ([UInt8]) -> Void
  /// Told of each message that was written.
  private let written: (Message) -> Void
  private var heldMessages: [Message] = []
  /// Events that wait for the handshake; nil once it is finished.
  private var held: [[UInt8]]? = []
  private var heldBytes = 0
  private var isCongested = false
  private var skipped: [Topic: Unread] = [:]
  private var skippedGaps: [Topic: Gap] = [:]

  /// Makes a feed that holds everything, up to `heldLimit` bytes, until `open`; `output` takes each notification. Feeds
  /// that are given the same messages may share `lines`.
  package init(
    heldLimit: Int = 1 << 20, lines: PushedLines = PushedLines(), written: @escaping (Message) -> Void = { _ in },
    output: @escaping ([UInt8]) -> Void
  ) {
    self.heldLimit = heldLimit
    self.lines = lines
    self.written = written
    self.output = output
  }

  /// Tells an event, or counts it.
  package func push(_ event: PushEvent) {
    guard !isCongested, heldBytes < heldLimit else { return skip(event) }
    switch event {
    case .message(let message):
      send(lines.line(of: message))
      if held == nil { written(message) } else { heldMessages.append(message) }
    case .gap(let gap): send(ChannelEvent(gap))
    case .backlog(let counts): send(ChannelEvent(backlog: counts, because: "messages are unread"))
    }
  }

  /// Tells what another tool set has to say, or counts it as a message of `topic`.
  func push(_ event: ChannelEvent, of topic: Topic) {
    guard !isCongested, heldBytes < heldLimit else {
      skipped[topic, default: Unread(count: 0)].count += 1
      return
    }
    send(event)
  }

  /// The handshake is finished: what was held goes out.
  package func open() {
    guard let lines = held else { return }
    held = nil
    heldBytes = 0
    for line in lines { output(line) }
    for message in heldMessages { written(message) }
    heldMessages = []
    if !isCongested { tellSkipped() }
  }

  /// The client does not take what it is sent.
  package func congested() { isCongested = true }

  /// The client takes what it is sent again.
  package func drained() {
    isCongested = false
    if held == nil { tellSkipped() }
  }

  private func send(_ event: ChannelEvent) { send(event.line) }

  private func send(_ line: [UInt8]) {
    guard held != nil else { return output(line) }
    held?.append(line)
    heldBytes += line.count
  }

  private func skip(_ event: PushEvent) {
    switch event {
    case .message(let message): skipped[message.topic, default: Unread(count: 0)].count += 1
    case .backlog(let counts):
      for (topic, unread) in counts {
        skipped[topic, default: Unread(count: 0)].count += unread.count
        if unread.isCapped { skipped[topic]?.isCapped = true }
      }
    case .gap(var gap):
      if let earlier = skippedGaps[gap.topic] {
        gap.from = earlier.from
        gap.isCertain = gap.isCertain || earlier.isCertain
      }
      skippedGaps[gap.topic] = gap
    }
  }

  private func tellSkipped() {
    let gaps = skippedGaps.values.sorted { $0.topic < $1.topic }
    let counts = skipped
    skippedGaps = [:]
    skipped = [:]
    for gap in gaps { send(ChannelEvent(gap)) }
    guard !counts.isEmpty else { return }
    send(ChannelEvent(backlog: counts, because: "messages came while this client was slow"))
  }
}
