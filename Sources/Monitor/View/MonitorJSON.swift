import ParleyCoordination
import ParleyMCP
import ParleyRuntime

extension JSONWriter {
  /// Writes a monitor's picture as one object.
  package mutating func monitor(_ state: MonitorState, limit: Int) {
    let snapshot = state.snapshot
    beginObject()
    text("mode", state.selected == nil ? "overview" : "topic")
    key("backend")
    backend(snapshot)
    key("limit")
    int(limit)
    text("status_filter", state.status.rawValue)
    key("participant_filter")
    if let participant = snapshot.participant { string(participant.name) } else { null() }
    key("participants")
    beginArray()
    for participant in snapshot.participants { self.participant(participant) }
    endArray()
    key("topics")
    beginArray()
    for place in state.places { self.place(place) }
    endArray()
    key("topic")
    if state.selected != nil { string(state.selectedName) } else { null() }
    key("tasks")
    beginArray()
    for task in snapshot.tasks { self.task(task, at: snapshot.tasksNow) }
    endArray()
    key("latest_summary")
    if let summary = snapshot.summary {
      beginObject()
      text("from", summary.by.name)
      text("content", summary.text)
      endObject()
    } else {
      null()
    }
    key("messages")
    beginArray()
    for message in state.messages { self.message(message) }
    endArray()
    endObject()
  }

  private mutating func backend(_ snapshot: MonitorSnapshot) {
    beginObject()
    text("name", snapshot.backend)
    text("location", snapshot.location)
    text("state", (snapshot.health?.state ?? .stopped).rawValue)
    if let cause = snapshot.health?.cause { text("cause", cause.description) }
    if let read = snapshot.readTime {
      key("read_us")
      int(read.nanoseconds / 1000)
    }
    endObject()
  }

  private mutating func place(_ place: PlaceLine) {
    beginObject()
    text("topic", place.name)
    text("status", place.isClosed ? "closed" : "open")
    key("unread_count")
    int(place.unread.count)
    key("unread_capped")
    bool(place.unread.isCapped)
    if let at = place.lastActivity { text("last_activity_ts", Timestamp.text(at)) }
    if let sender = place.lastSender { text("last_sender", sender.name) }
    endObject()
  }

  private mutating func text(_ name: String, _ value: String) {
    key(name)
    string(value)
  }
}
