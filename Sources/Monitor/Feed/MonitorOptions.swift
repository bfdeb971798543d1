import ParleyRuntime

/// What a monitor shows, as its flags say.
package struct MonitorOptions: Hashable, Sendable {
  /// Which topics: open ones, closed ones (of a chatroom), or both.
  package enum Status: String, Hashable, Sendable, CaseIterable {
    case open
    case closed
    case all
  }

  /// The newest messages of each topic that are shown.
  package var limit = 30
  /// News is drawn at most so often; what is typed is drawn at once.
  package var interval: Duration = .seconds(2)
  /// Whose view it is: what is directed to others is left out, and unread is counted by its read marks. Nil for the
  /// participant's own marks, and everything.
  package var participant: Handle?
  /// The topic to begin with; nil for all.
  package var topic: String?
  /// Begin with the topic that has the latest unread message, else the latest one.
  package var latestTopic = false
  /// Only topics with something unread.
  package var unreadOnly = false
  package var status = Status.open
  /// Nothing is posted.
  package var readOnly = false

  package init() {}
}
