import ParleyCoordination
import ParleyRuntime

/// Where messages are exchanged, as the monitor names it.
package enum MonitorPlace: Hashable, Sendable {
  /// A configured topic, or a conversation.
  case topic(Topic)
  /// A topic within the chatroom of that tool set.
  case room(String)
}

/// One line of the list of topics.
package struct PlaceLine: Hashable, Sendable {
  package var place: MonitorPlace
  /// What people call it.
  package var name: String
  package var isClosed = false
  package var unread = Unread(count: 0)
  /// Of the newest message that is known here, milliseconds since 1970 by the store's clock; nil where there is none.
  package var lastActivity: Int64?
  package var lastSender: Handle?

  package init(_ place: MonitorPlace, name: String) {
    self.place = place
    self.name = name
  }
}

/// Everything a monitor shows, at one moment.
package struct MonitorSnapshot: Sendable {
  /// Who looks.
  package var me: Handle
  package var participant: Handle?
  package var backend = ""
  package var location = ""
  package var health: Health?
  /// How long the last read of the store took, and the last post.
  package var readTime: Duration?
  package var postTime: Duration?
  /// In the order of the configuration, then conversations, then the chatroom's.
  package var places: [PlaceLine] = []
  /// Those who were heard of last come first.
  package var participants: [Participant] = []
  /// Open and held tasks, then those that ended lately.
  package var tasks: [TaskRecord] = []
  /// The store's time, milliseconds since 1970.
  package var tasksNow: Int64 = 0
  /// The newest messages of the place that was asked for, or of all, ascending.
  package var messages: [Message] = []
  package var summary: Summary?

  package init(me: Handle) { self.me = me }

  /// The place that somebody names: exactly, else the only one whose name begins so.
  package func place(named name: String) -> MonitorPlace? {
    if let exact = places.first(where: { $0.name == name }) { return exact.place }
    let found = places.filter { $0.name.hasPrefix(name) }
    return found.count == 1 ? found[0].place : nil
  }

  /// What people call a topic: a conversation has a name, or members.
  package func name(of topic: Topic) -> String {
    places.first { $0.place == .topic(topic) }?.name ?? topic.name
  }

  /// Where something is unread that came last, else what was active last.
  package var latest: MonitorPlace? {
    let byActivity = places.sorted { ($1.lastActivity ?? .min, $0.name) < ($0.lastActivity ?? .min, $1.name) }
    return (byActivity.first { $0.unread.count > 0 } ?? byActivity.first)?.place
  }
}
