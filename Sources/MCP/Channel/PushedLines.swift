import ParleyRuntime

/// The notification of the message that was pushed last: many sessions are given the same one after the other, and its
/// text is made once. Confined to its loop.
//
// @unchecked: confined to the loop's thread.
package final class PushedLines: @unchecked Sendable {
  private final class Pushed: Sendable {
    let message: Message
    let line: [UInt8]

    init(_ message: Message) {
      self.message = message
      line = ChannelEvent(message).line
    }
  }

  private var last: Pushed?

  package init() {}

  func line(of message: Message) -> [UInt8] {
    // Ids are the topic's own; the same message may be verified for one reader and claimed for another.
    if let last, last.message.id == message.id, last.message.topic == message.topic,
      last.message.cursor == message.cursor, last.message.provenance == message.provenance
    {
      return last.line
    }
    let pushed = Pushed(message)
    last = pushed
    return pushed.line
  }
}
