import ParleyCoordination
import ParleyRuntime

/// The texts of that system's results, in English.
enum DuoText {
  /// `2026-07-12 18:03:11 UTC`
  static func time(_ milliseconds: Int64) -> String {
    let text = Timestamp.text(milliseconds)
    return text.prefix(10) + " " + text.dropFirst(11).prefix(8) + " UTC"
  }

  static func sent(_ sent: Duo.Sent) -> String {
    var parts: [String] = []
    if sent.notified > 0 { parts.append("\(sent.notified) notified in real time") }
    if sent.queued > 0 { parts.append("\(sent.queued) queued") }
    return "Message sent in \(sent.conversation.name)" + (parts.isEmpty ? "" : "\n" + parts.joined(separator: ", "))
  }

  static func heard(_ heard: Duo.Heard, minutes: Int) -> String {
    switch heard {
    case .messages(let news): Self.news(news)
    case .reconnect: "Another listen call took over (reconnect)."
    case .unregistered: "Unregistered: this session does not listen any more."
    case .timeout: "No message in \(minutes) minutes. Call listen again to go on waiting."
    }
  }

  static func created(_ made: Conversation, _ name: String) -> String {
    let members = made.state.members.keys.sorted().map(\.name).joined(separator: ", ")
    return "Conversation created: **\(name)**\nID: \(made.topic.name)\nParticipants: \(members)"
  }

  private static func shown(_ text: String) -> String { VisibleText.visible(text, keepsLines: false) }

  private static func line(_ message: Message) -> String {
    "[\(time(message.storedAt))] \(shown(message.sender.name)): \(message.content)"
  }

  static func news(_ all: [Duo.News]) -> String {
    let count = all.reduce(0) { $0 + $1.messages.count }
    let groups = all.map { news in
      "📁 \(news.conversation.topic.name)\n" + news.messages.map(line).joined(separator: "\n")
    }
    return "**\(count) message(s)**\n\n" + groups.joined(separator: "\n\n")
  }

  static func partners(_ all: [PartnerFold.Partner], _ fold: PartnerFold, at now: Int64, me: String) -> String {
    guard !all.isEmpty else { return "No partners." }
    return all.map { partner in
      let icon = fold.isOnline(partner.id, at: now) ? "🟢" : "⚪"
      let ear = fold.isListening(partner.id, at: now) ? " 👂" : ""
      let own = partner.id == me ? " (you)" : ""
      let status = partner.status.isEmpty ? "" : " — \(shown(partner.status))"
      return "\(icon)\(ear) **\(shown(partner.name))** (ID: \(shown(partner.id)))\(own)\(status)"
    }.joined(separator: "\n")
  }

  private static func title(_ conversation: Conversation, me: Handle) -> String {
    let members = conversation.state.members.keys.sorted().map { shown($0.name) }
    if let other = conversation.other(than: me) { return shown(other.name) }
    return conversation.state.name.map(shown) ?? members.joined(separator: ", ")
  }

  static func conversation(_ conversation: Conversation, unread: Int, me: Handle) -> String {
    let icon = conversation.state.isDirect ? "💬" : "👥"
    let count = unread == 0 ? "" : " (\(unread) unread)"
    let members = conversation.state.members.keys.sorted().map { shown($0.name) }.joined(separator: ", ")
    return
      "\(icon) **\(title(conversation, me: me))**\(count)\n   ID: \(conversation.topic.name)\n   Participants: \(members)"
  }

  static func history(_ conversation: Conversation, _ messages: [Message], me: Handle) -> String {
    "**\(title(conversation, me: me))** (\(conversation.topic.name)): \(messages.count) message(s)\n\n"
      + messages.map(line).joined(separator: "\n")
  }
}
