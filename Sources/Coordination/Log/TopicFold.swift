import ParleyRuntime

/// A pure function from a topic's log to a state: log order and `storedAt`, nothing else.
package protocol TopicFold: Sendable {
  /// What one message brought: an event's acceptance or the reason why it was refused.
  associatedtype Outcome: Sendable

  /// Whether the message can change the state; others are not kept while the log is read.
  static func concerns(_ message: Message) -> Bool

  /// The account under which this process posts, before anything is read; nil where the backend has none.
  mutating func setAccount(_ account: String?)

  /// Takes the next message of the log; nil where it is no event of this fold. A checkpoint changes nothing here: the
  /// state has what it says already.
  mutating func apply(_ message: Message) -> Outcome?

  /// The state must outlive the store's retention, so checkpoints of it are posted.
  static var keepsCheckpoints: Bool { get }

  /// Up to which place the checkpoint in this message stands for the log; nil where it is none.
  func through(of message: Message) -> Cursor?

  /// Begins with the state that a checkpoint has, for a log whose earlier part is not read.
  mutating func restore(from checkpoint: Message)

  /// The state as the text and attributes of a message, as it is at the place `through`; nil where it needs none.
  func checkpoint(through: Cursor) -> EventText?

  /// What the state is and in which shape `keep` writes it, with all that it depends on beside the log; nil where it is
  /// not kept between runs.
  var keptAs: String? { get }

  /// Writes the members of an object from which `restore` makes the same state.
  func keep(into writer: inout JSONWriter)

  /// Begins with a state that was kept; throws, and changes nothing, for what `keep` did not write.
  mutating func restore(kept json: JSONSlice, of topic: Topic) throws(EventRefusal)
}

/// The text and the attributes of a message that carries an event.
package typealias EventText = (content: String, attributes: Attributes)

extension TopicFold {
  package mutating func setAccount(_ account: String?) {}
  package static var keepsCheckpoints: Bool { false }
  package func through(of message: Message) -> Cursor? { nil }
  package mutating func restore(from checkpoint: Message) {}
  package func checkpoint(through: Cursor) -> EventText? { nil }
  package var keptAs: String? { nil }
  package func keep(into writer: inout JSONWriter) {}
  package mutating func restore(kept json: JSONSlice, of topic: Topic) throws(EventRefusal) { throw .foreign }
}
