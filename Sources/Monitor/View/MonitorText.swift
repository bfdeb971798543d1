import ParleyCoordination
import ParleyRuntime

/// A monitor's picture as plain lines, for `--once` and where no terminal is.
package enum MonitorText {
  /// Everything that the state shows, each line at most `width` cells.
  package static func lines(_ state: MonitorState, width: Int) -> [String] {
    let snapshot = state.snapshot
    var head = StyledLine("parley  \(state.selectedName)  \(snapshot.me.name)  ")
    if let participant = snapshot.participant { head.add("as \(participant.name) sees it  ") }
    var lines = [head.text + MonitorLines.health(snapshot).text]
    func section(_ title: String, _ rows: [StyledLine]) {
      guard !rows.isEmpty else { return }
      lines.append(title)
      lines += rows.flatMap { $0.wrapped(to: width - 2) }.map { "  " + $0.text }
    }
    section(
      state.unreadOnly ? "unread" : "topics",
      state.places.map { MonitorLines.place($0, isSelected: $0.place == state.selected) })
    section("here", snapshot.participants.map(MonitorLines.participant))
    section(
      "tasks",
      snapshot.tasks.map { MonitorLines.task($0, in: snapshot, namesTopic: state.selected == nil) })
    if let summary = snapshot.summary {
      section(
        "summary of \(StyledLine(summary.by.name).text)",
        summary.text.split(separator: "\n").map { StyledLine(String($0)) })
    }
    section("messages", MonitorView.messageLines(state, width: width - 2, upTo: .max))
    return lines
  }
}
