import ParleyRuntime

/// What an older chatroom kept in files (`.chatroom/`): one JSON object a line, and a map of reading positions.
package struct ChatroomArchive: Hashable, Sendable {
  /// One message or summary.
  struct Line: Hashable, Sendable {
    var at: Int64?
    var from: String
    /// Whom a message is for, or what a summary's scope is.
    var to: String
    var content: String
  }

  private(set) var messages: [Line] = []
  private(set) var summaries: [Line] = []
  private(set) var cursors: [String: Int] = [:]

  /// Lines that are no records are left out, as long as numbers stay what they were: a message keeps its place.
  package init(messages: String, summaries: String, cursors: String) {
    self.messages = Self.lines(messages, to: "to").map {
      $0 ?? Line(from: "system", to: "all", content: "(unreadable)")
    }
    self.summaries = Self.lines(summaries, to: "scope").compactMap { $0 }
    guard let map = try? JSONValue(parsing: cursors) else { return }
    for member in map.object?.members ?? [] {
      if let id = member.value.int, id > 0, !member.name.isBlank { self.cursors[member.name] = Int(id) }
    }
  }

  /// Nothing to take over.
  package var isEmpty: Bool { messages.isEmpty && summaries.isEmpty }

  private static func lines(_ text: String, to name: String) -> [Line?] {
    text.split(separator: "\n").map { line in
      guard let value = try? JSONValue(parsing: String(line)), let from = value["from"]?.string, !from.isBlank,
        let content = value["content"]?.string, !content.utf8.contains(0)
      else { return nil }
      return Line(
        at: value["ts"]?.string.flatMap { Timestamp.milliseconds($0) }, from: from,
        to: value[name]?.string ?? "all", content: content)
    }
  }
}

extension ChatroomArchive {
  /// The events that stand for it, in order, each with the name that says it and a key under which it is stored once,
  /// however many processes take it over.
  func events() -> [(text: (content: String, attributes: [String: String]), from: String, to: String?, key: String)] {
    var events: [(text: (content: String, attributes: [String: String]), from: String, to: String?, key: String)] = []
    for (index, line) in messages.enumerated() {
      var attributes = ChatEvent.say(topic: nil).message.attributes
      attributes[ChatEvent.timeName] = line.at.map { String($0) }
      events.append(((line.content, attributes), line.from, line.to == "all" ? nil : line.to, "message:\(index)"))
    }
    for (index, line) in summaries.enumerated() {
      var attributes = ChatEvent.summary(topic: nil).message.attributes
      attributes["scope"] = line.to
      attributes[ChatEvent.timeName] = line.at.map { String($0) }
      events.append(((line.content, attributes), line.from, nil, "summary:\(index)"))
    }
    for (name, id) in cursors.sorted(by: { $0.key < $1.key }) {
      events.append((ChatEvent.cursor(name: name, topic: nil, from: nil, id: id).message, name, nil, "cursor:\(name)"))
    }
    events.append((ChatEvent.imported.message, "system", nil, "end"))
    return events
  }
}
