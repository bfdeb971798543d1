import ParleyRuntime

/// The latest summary of a topic for each scope, as the topic's log tells it.
public struct SummaryFold: TopicFold, Hashable {
  /// Bytes of text that are kept, and summaries of different scopes; the oldest make room.
  static let bytes = 65_536
  static let scopes = 128

  /// The latest ones, in log order.
  public private(set) var all: [Summary] = []
  /// Messages that looked like events and were damaged, or of a later version.
  public private(set) var ignoredEvents = 0

  /// Nothing written down.
  public init() {}

  /// The latest one of exactly this scope; nil for all.
  public subscript(_ scope: Handle?) -> Summary? { all.last { $0.scope == scope } }

  /// The latest one that is for somebody, or for all.
  public func latest(for handle: Handle) -> Summary? { all.last { $0.scope == nil || $0.scope == handle } }

  package static var keepsCheckpoints: Bool { true }
  package static func concerns(_ message: Message) -> Bool { !message.isLate && SummaryEvent.owns(message) }

  package func through(of message: Message) -> Cursor? { SummaryEvent.through(of: message) }

  package mutating func restore(from checkpoint: Message) {
    do throws(EventRefusal) {
      guard case .checkpoint(let all, _) = try SummaryEvent(checkpoint) else { return }
      self.all = all
    } catch {
      ignoredEvents += 1
    }
  }

  package func checkpoint(through: Cursor) -> EventText? {
    all.isEmpty ? nil : SummaryEvent.checkpoint(all, through: through).message
  }

  /// Takes the next message of the log; nil where it is no summary.
  @discardableResult
  package mutating func apply(_ message: Message) -> Summary? {
    do throws(EventRefusal) {
      guard case .summary(let scope, let text) = try SummaryEvent(message) else { return nil }
      let summary = Summary(
        scope: scope, text: text, by: message.sender, at: message.storedAt, message: message.id)
      all.removeAll { $0.scope == scope }
      all.append(summary)
      var size = all.reduce(0) { $0 + $1.text.utf8.count }
      while size > Self.bytes || all.count > Self.scopes { size -= all.removeFirst().text.utf8.count }
      return summary
    } catch {
      if error != .foreign { ignoredEvents += 1 }
      return nil
    }
  }
}
