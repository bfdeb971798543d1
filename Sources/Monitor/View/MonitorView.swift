import ParleyCoordination
import ParleyRuntime

/// A monitor's screen as a pure function of its state.
package enum MonitorView {
  /// Below so many cells, topics stand in one row instead of a column of their own.
  static let wide = 76
  private static let listWidth = 26

  /// What a terminal of this size shows.
  package static func render(_ state: MonitorState, rows: Int, columns: Int) -> Screen {
    var screen = Screen(rows: rows, columns: columns)
    guard rows >= 5, columns >= 20 else {
      screen.put(StyledLine("too small"), row: 0, column: 0, width: columns)
      return screen
    }
    var title = StyledLine(" parley  \(state.selectedName)", .bold)
    if let sender = state.sender { title.add("  from \(sender.name)") }
    title.add("  \(state.snapshot.me.name)  ")
    for piece in MonitorLines.health(state.snapshot).pieces { title.add(piece.text, Style(bold: piece.style.isBold)) }
    screen.bar(row: 0, title)
    let bottom = rows - 2
    let left = columns >= wide ? listWidth : 0
    if left > 0 {
      list(state, rows: 1..<bottom, on: &screen)
    } else {
      screen.put(tabs(state), row: 1, column: 0, width: columns)
    }
    let area = Area(
      rows: (left > 0 ? 1 : 2)..<bottom, column: left > 0 ? left + 2 : 0, width: columns - (left > 0 ? left + 2 : 0))
    let board = boardLines(state, width: area.width, limit: max(1, area.rows.count / 3))
    let split = area.rows.upperBound - board.count
    conversation(state, in: Area(rows: area.rows.lowerBound..<split, column: area.column, width: area.width), &screen)
    for (index, line) in board.enumerated() {
      screen.put(line, row: split + index, column: area.column, width: area.width)
    }
    footer(state, on: &screen)
    return screen
  }

  private struct Area {
    var rows: Range<Int>
    var column: Int
    var width: Int
  }

  // MARK: Lists

  private static func list(_ state: MonitorState, rows: Range<Int>, on screen: inout Screen) {
    for row in rows { screen.put(StyledLine("│", .dim), row: row, column: listWidth, width: 1) }
    let places = state.places
    let here = state.snapshot.participants
    // Both get their headline; those who are here at least a third where they need it.
    let room = max(0, rows.count - 3)
    let forPlaces = min(places.count + 1, max(room - min(here.count, room / 3), 0))
    let selected = places.firstIndex { $0.place == state.selected }.map { $0 + 1 } ?? 0
    let first = max(0, min(selected - forPlaces / 2, places.count + 1 - forPlaces))
    var lines = [StyledLine(state.unreadOnly ? "UNREAD" : "TOPICS", .dim)]
    let all =
      [entry("all topics", isSelected: state.selected == nil)]
      + places.map { MonitorLines.place($0, isSelected: $0.place == state.selected) }
    lines += all[first...].prefix(forPlaces)
    lines.append(StyledLine())
    lines.append(StyledLine("HERE", .dim))
    lines += here.prefix(max(0, rows.count - lines.count)).map(MonitorLines.participant)
    for (row, line) in zip(rows, lines) { screen.put(line, row: row, column: 0, width: listWidth - 1) }
  }

  private static func entry(_ name: String, isSelected: Bool) -> StyledLine {
    var line = StyledLine(isSelected ? "▸ " : "  ", .bold)
    line.add(name, Style(bold: isSelected))
    return line
  }

  /// The topics in one row, for narrow terminals.
  private static func tabs(_ state: MonitorState) -> StyledLine {
    var line = StyledLine()
    for place in state.places {
      if place.place == state.selected || place.unread.count > 0 {
        for piece in MonitorLines.place(place, isSelected: place.place == state.selected).pieces {
          line.add(piece.text, piece.style)
        }
      }
    }
    let online = state.snapshot.participants.count { $0.isOnline }
    line.add("  \(online) here", .dim)
    return line
  }

  private static func boardLines(_ state: MonitorState, width: Int, limit: Int) -> [StyledLine] {
    let tasks = state.snapshot.tasks
    guard !tasks.isEmpty, limit > 1 else { return [] }
    var head = StyledLine("TASKS ", .dim)
    let live = tasks.count { !$0.status(at: state.snapshot.tasksNow).isFinal }
    head.add("\(live) open or held", .dim)
    let lines = tasks.prefix(limit - 1).map {
      MonitorLines.task($0, in: state.snapshot, namesTopic: state.selected == nil)
    }
    return [head] + lines
  }

  // MARK: Messages

  private static func conversation(_ state: MonitorState, in area: Area, _ screen: inout Screen) {
    guard !area.rows.isEmpty else { return }
    let lines =
      state.showsHelp ? help(state) : messageLines(state, width: area.width, upTo: state.scroll + area.rows.count)
    let end = max(min(lines.count, area.rows.count), lines.count - (state.showsHelp ? 0 : state.scroll))
    let shown = lines[max(0, end - area.rows.count)..<end]
    // The newest stands at the bottom, as in a chat.
    let start = area.rows.upperBound - shown.count
    for (index, line) in shown.enumerated() {
      screen.put(line, row: start + index, column: area.column, width: area.width)
    }
  }

  /// At least so many lines from the end, where there are as many.
  static func messageLines(_ state: MonitorState, width: Int, upTo count: Int) -> [StyledLine] {
    let messages = state.messages
    guard !messages.isEmpty else { return [StyledLine("No messages here yet.", .dim)] }
    var blocks: [[StyledLine]] = []
    var lines = 0
    for message in messages.reversed() where lines < count {
      blocks.append(
        MonitorLines.message(message, in: state.snapshot, namesTopic: state.selected == nil, width: width))
      lines += blocks.last?.count ?? 0
    }
    return blocks.reversed().flatMap { $0 }
  }

  /// Lines that can be scrolled back in a terminal of this size.
  package static func lineCount(_ state: MonitorState, columns: Int) -> Int {
    let width = columns - (columns >= wide ? listWidth + 2 : 0)
    return messageLines(state, width: width, upTo: .max).count
  }

  private static func help(_ state: MonitorState) -> [StyledLine] {
    var lines = [StyledLine("Keys", .bold)]
    for (key, meaning) in MonitorInput.keys { lines.append(StyledLine("  \(key)  \(meaning)")) }
    lines.append(StyledLine("Commands", .bold))
    for command in MonitorInput.commands where !(state.isReadOnly && command.writes) {
      lines.append(StyledLine("  \(command.usage)  \(command.meaning)"))
    }
    return lines
  }

  // MARK: Footer

  private static func footer(_ state: MonitorState, on screen: inout Screen) {
    let (row, columns) = (screen.rows - 2, screen.columns)
    if let notice = state.notice {
      screen.put(StyledLine(notice.replacing("\n", with: " "), .bold), row: row, column: 0, width: columns)
    } else {
      let scrolled = state.scroll > 0 ? "scrolled back, Esc returns   " : ""
      let hint = "\(scrolled)Tab topic   ↑↓ scroll   /help   \(state.isReadOnly ? "q quit   read-only" : "^C quit")"
      screen.put(StyledLine(hint, .dim), row: row, column: 0, width: columns)
    }
    let (text, cursor) = state.editor.window(columns - 3)
    var line = StyledLine("> ", .bold)
    line.add(text)
    screen.put(line, row: row + 1, column: 0, width: columns)
    screen.cursor = Screen.Place(row: row + 1, column: min(cursor + 2, columns - 1))
  }
}
