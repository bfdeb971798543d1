import ParleyRuntime

/// How far a message has come with its recipient; each stage is more than the one before.
public enum ReceiptStage: Int, Hashable, Sendable, Comparable, CaseIterable {
  /// The backend has it.
  case stored
  /// It was written to a session of the recipient.
  case pushed
  /// The recipient's read mark has passed it.
  case seen
  /// A reply or a change of a task refers to it.
  case acted

  /// The word that tools and commands use.
  public var name: String { "\(self)" }

  /// The stage of a word; nil for another.
  public init?(name: String) {
    guard let stage = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = stage
  }

  public static func < (a: ReceiptStage, b: ReceiptStage) -> Bool { a.rawValue < b.rawValue }
}

/// What became of one message, as two logs tell it: the message's topic after it, and the recipient's own topic.
///
/// Cursors are compared for equality alone; a mark is behind the message by its `storedAt`, and where that is the same,
/// by the messages that follow in the log.
public struct ReceiptFold: Hashable, Sendable {
  /// Messages with the same time after it that are told apart.
  static let placeLimit = 10_000

  /// The message.
  public let id: MessageID
  private let topic: Topic
  private let sender: Handle
  private let recipient: Handle?
  private let account: String?
  private let storedAt: Int64
  private var places: Set<Cursor>
  private var undecided: Set<Cursor> = []
  /// How far it has come.
  public private(set) var stage = ReceiptStage.stored

  /// A message that is stored at `cursor`. Without a recipient, whoever refers to it counts.
  ///
  /// `account` is the one that is known as the recipient's, where senders have accounts: what another writes under the
  /// handle says nothing of the message.
  public init(
    id: MessageID, topic: Topic, cursor: Cursor, storedAt: Int64, sender: Handle, recipient: Handle?,
    account: String? = nil
  ) {
    self.id = id
    self.topic = topic
    self.sender = sender
    self.recipient = recipient
    self.account = account
    self.storedAt = storedAt
    places = [cursor]
  }

  /// Takes the next message after it on its topic.
  public mutating func applyTopic(_ message: Message) {
    if message.storedAt <= storedAt, places.count < Self.placeLimit {
      places.insert(message.cursor)
      if undecided.contains(message.cursor) { reach(.seen) }
    }
    guard message.inReplyTo == id, message.sender != sender,
      recipient.map({ message.isFrom($0, account: account) }) ?? true
    else { return }
    reach(.acted)
  }

  /// Takes the next message of the recipient's own topic.
  public mutating func applyOwn(_ message: Message) {
    guard let recipient, message.isFrom(recipient, account: account) else { return }
    do throws(EventRefusal) {
      if OwnEvent.owns(message) {
        guard case .pushed(topic, let ids) = try OwnEvent(message), ids.contains(id) else { return }
        return reach(.pushed)
      }
      switch try ReadMarkEvent(message) {
      case .mark(topic, let mark): passed(mark)
      case .checkpoint(let marks, _, _): if let mark = marks[topic] { passed(mark) }
      case .mark, .imported: break
      }
    } catch {
      // Damaged events, and those of other parts, say nothing of this message.
      return
    }
  }

  private mutating func passed(_ mark: ReadMark) {
    if mark.storedAt > storedAt || places.contains(mark.cursor) {
      reach(.seen)
    } else if mark.storedAt == storedAt {
      undecided.insert(mark.cursor)
    }
  }

  private mutating func reach(_ stage: ReceiptStage) { self.stage = max(self.stage, stage) }
}
