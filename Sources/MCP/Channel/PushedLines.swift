import ParleyRuntime

/// The notification of the message that was pushed last: many sessions are given the same one after the other, and its
/// text is made once. Confined to its loop.
//
// @unchecked: confined to the loop's thread.
package final class PushedLines: @unchecked Sendable {
  private var last: (message: Message, line: [UInt8])?

  package init() {}

  func line(of message: Message) -> [UInt8] {
    // Ids are the topic's own; the same message may be verified for one reader and claimed for another.
    if let last, last.message.id == message.id, last.message.topic == message.topic,
      last.message.cursor == message.cursor, last.message.provenance == message.provenance
    {
      return last.line
    }
    let line = ChannelEvent(message).line
    last = (message, line)
    return line
  }
}
