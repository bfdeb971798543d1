import ParleyRuntime

/// A pure function from a topic's log to a state: log order and `storedAt`, nothing else.
package protocol TopicFold: Sendable {
  /// What one message brought: an event's acceptance or the reason why it was refused.
  associatedtype Outcome: Sendable

  /// Whether the message can change the state; others are not kept while the log is read.
  static func concerns(_ message: Message) -> Bool

  /// Takes the next message of the log; nil where it is no event of this fold.
  mutating func apply(_ message: Message) -> Outcome?
}
