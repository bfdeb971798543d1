import ParleyRuntime

/// What is on the screen: what there is to show, and how somebody looks at it.
package struct MonitorState: Sendable {
  package var snapshot: MonitorSnapshot
  /// The place whose messages are shown; nil for all.
  package var selected: MonitorPlace?
  package var isReadOnly: Bool
  package var status: MonitorOptions.Status
  package var unreadOnly: Bool
  /// Only messages of, or for, this one.
  package var sender: Handle?
  /// Lines between the newest and the last one on the screen.
  package var scroll = 0
  package var editor = LineEditor()
  /// What became of the last thing that was done.
  package var notice: String?
  package var showsHelp = false

  package init(_ snapshot: MonitorSnapshot, options: MonitorOptions) {
    self.snapshot = snapshot
    isReadOnly = options.readOnly
    status = options.status
    unreadOnly = options.unreadOnly
  }

  /// The places that are listed now; the selected one always is.
  package var places: [PlaceLine] {
    snapshot.places.filter { line in
      if line.place == selected { return true }
      if unreadOnly, line.unread.count == 0 { return false }
      return status == .all || line.isClosed == (status == .closed)
    }
  }

  /// The messages that are shown now: bookkeeping is not.
  package var messages: [Message] {
    let shown = Set(places.map(\.place))
    return snapshot.messages.filter { message in
      guard !message.isQuiet else { return false }
      if let sender, message.sender != sender, message.to != sender { return false }
      if selected == nil, unreadOnly, !shown.contains(.topic(message.topic)) { return false }
      guard let participant = snapshot.participant else { return true }
      return message.to == nil || message.to == participant || message.sender == participant
    }
  }

  /// Goes to the next place of the list, or the one before; all of them stands before the first.
  package mutating func select(step: Int) {
    let all: [MonitorPlace?] = [nil] + places.map { $0.place }
    let at = all.firstIndex { $0 == selected } ?? 0
    selected = all[(at + step + all.count) % all.count]
    scroll = 0
  }

  /// What people call the selected place.
  package var selectedName: String {
    selected.map { place in snapshot.places.first { $0.place == place }?.name ?? "?" } ?? "all topics"
  }
}
