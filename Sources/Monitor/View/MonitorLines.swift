import ParleyCoordination
import ParleyRuntime

/// How each thing that a monitor shows reads as a line.
enum MonitorLines {
  /// Characters of one message that are shown; the rest is named.
  static let shownCharacters = 4000

  static func place(_ place: PlaceLine, isSelected: Bool) -> StyledLine {
    var line = StyledLine(isSelected ? "▸ " : "  ", .bold)
    let isUnread = place.unread.count > 0
    line.add(place.name, Style(bold: isUnread || isSelected, dim: place.isClosed))
    if isUnread { line.add(" \(place.unread.count)\(place.unread.isCapped ? "+" : "")", Style(.green, bold: true)) }
    if place.isClosed { line.add(" closed", .dim) }
    return line
  }

  static func participant(_ participant: Participant) -> StyledLine {
    var line = StyledLine(participant.isOnline ? "● " : "○ ", Style(participant.isOnline ? .green : nil))
    line.add(participant.handle.name, participant.isOnline ? .plain : .dim)
    if participant.party != .agent { line.add(" \(participant.party.rawValue)", .dim) }
    if participant.instances > 1 { line.add(" ×\(participant.instances)", .dim) }
    if let status = participant.status { line.add(" \(status)", .dim) }
    return line
  }

  static func task(_ task: TaskRecord, in snapshot: MonitorSnapshot, namesTopic: Bool) -> StyledLine {
    let now = snapshot.tasksNow
    let status = task.status(at: now)
    var line = StyledLine(task.label, .bold)
    line.add("  \(status.rawValue)", style(of: status))
    if namesTopic { line.add("  \(snapshot.name(of: task.topic))", .dim) }
    line.add("  \(task.title)", status.isFinal ? .dim : .plain)
    if let to = task.to { line.add("  for \(to.name)", .dim) }
    if let claim = task.heldClaim(at: now) { line.add("  \(claim.holder.handle.name)", .bold) }
    if let ending = task.ending {
      line.add("  by \(ending.by.handle.name)", .dim)
      if let text = ending.text, !text.isEmpty { line.add(": \(text.replacing("\n", with: " "))", .dim) }
    }
    return line
  }

  private static func style(of status: TaskRecord.Status) -> Style {
    switch status {
    case .open: Style(.green)
    case .claimed: Style(.magenta)
    case .done: .dim
    case .failed, .cancelled, .expired: Style(.red)
    }
  }

  /// The lines of one message, each at most `width` cells.
  static func message(_ message: Message, in snapshot: MonitorSnapshot, namesTopic: Bool, width: Int) -> [StyledLine] {
    let isMine = message.sender == snapshot.me
    let concernsMe = message.to == snapshot.me || message.mentions.contains(snapshot.me)
    var head = StyledLine(clock(message.storedAt) + " ", .dim)
    if namesTopic { head.add(snapshot.name(of: message.topic) + " ", .dim) }
    head.add(message.sender.name, Style(isMine ? .cyan : concernsMe ? .magenta : .green, bold: true))
    if let to = message.to { head.add(" → \(to.name)", Style(bold: true)) }
    if let kind = message.kind { head.add(" [\(kind)]", .dim) }
    if message.isLate { head.add(" (late)", .dim) }
    var content = message.content
    let isLong = content.unicodeScalars.count > shownCharacters
    if isLong { content = String(content.prefix(shownCharacters)) }
    let parts = content.split(separator: "\n", omittingEmptySubsequences: false)
    var lines: [StyledLine] = []
    for (index, part) in parts.enumerated() {
      var line = index == 0 ? head : StyledLine("  ")
      line.add(index == 0 ? "> \(part)" : String(part))
      lines += line.wrapped(to: width)
    }
    if isLong { lines.append(StyledLine("  … \(message.content.utf8.count) bytes in all", .dim)) }
    return lines
  }

  /// Name, state and what it costs: `sqlite live, read 0.4 ms`.
  static func health(_ snapshot: MonitorSnapshot) -> StyledLine {
    let state = snapshot.health?.state ?? .stopped
    var line = StyledLine("\(snapshot.backend) ")
    line.add(words(for: state), Style(state == .live ? .green : .red, bold: true))
    if state != .live, let since = snapshot.health?.since { line.add(" since \(clock(since))") }
    if let read = snapshot.readTime { line.add(", read \(milliseconds(read))") }
    if let post = snapshot.postTime { line.add(", post \(milliseconds(post))") }
    if state != .live, let cause = snapshot.health?.cause { line.add(": \(cause.operation): \(cause.cause)") }
    return line
  }

  private static func words(for state: Health.State) -> String {
    state == .waitingToRetry ? "away" : state.rawValue
  }

  /// Three digits at most: `0.42 ms`, `13 ms`.
  static func milliseconds(_ duration: Duration) -> String {
    let micros = max(0, duration.nanoseconds / 1000)
    guard micros < 10_000 else { return "\(micros / 1000) ms" }
    let hundredths = micros / 10
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) ms"
  }

  /// `HH:MM` in UTC.
  static func clock(_ milliseconds: Int64) -> String { String(Timestamp.text(milliseconds).dropFirst(11).prefix(5)) }
}
