import ParleyRuntime

/// What an older chatroom kept in files: one JSON object a line, a map of reading positions, and in its newer form
/// (`.chatroom_v2/`) topics.
package struct ChatroomArchive: Hashable, Sendable {
  /// One message or summary.
  struct Line: Hashable, Sendable {
    var at: Int64?
    /// Nil for the room itself.
    var topic: String?
    var from: String
    /// Whom a message is for, or what a summary's scope is.
    var to: String
    var content: String
  }

  /// One topic, and whether it was closed.
  struct Room: Hashable, Sendable {
    var id: String
    var title: String
    var isClosed: Bool
  }

  /// How far somebody read.
  struct Place: Hashable, Sendable {
    var name: String
    var topic: String?
    var id: Int
  }

  private(set) var messages: [Line] = []
  private(set) var summaries: [Line] = []
  private(set) var places: [Place] = []
  private(set) var rooms: [Room] = []

  /// Lines that are no records are left out, as long as numbers stay what they were: a message keeps its place.
  package init(messages: String, summaries: String, cursors: String, topics: String = "{}") {
    self.messages = Self.lines(messages, to: "to").map {
      $0 ?? Line(from: "system", to: "all", content: "(unreadable)")
    }
    self.summaries = Self.lines(summaries, to: "scope").compactMap { $0 }
    for (name, value) in Self.members(cursors) where !name.isBlank {
      // The older form has a number, the newer one a number for each topic.
      add(name, nil, value)
      for member in value.object?.members ?? [] where ChatEvent.isTopicID(member.name) {
        add(name, member.name, member.value)
      }
    }
    for (id, value) in Self.members(topics) where ChatEvent.isTopicID(id) {
      let title = value["title"]?.string ?? ""
      rooms.append(Room(id: id, title: title.isBlank ? id : title, isClosed: value["status"]?.string == "closed"))
    }
  }

  private mutating func add(_ name: String, _ topic: String?, _ value: JSONValue) {
    if let id = value.int, id > 0 { places.append(Place(name: name, topic: topic, id: Int(id))) }
  }

  /// Nothing to take over.
  package var isEmpty: Bool { messages.isEmpty && summaries.isEmpty && rooms.isEmpty }

  /// The members of a JSON object, by name; none where the text is no such object.
  private static func members(_ text: String) -> [(name: String, value: JSONValue)] {
    guard let map = try? JSONValue(parsing: text) else { return [] }
    return (map.object?.members ?? []).sorted { $0.name < $1.name }
  }

  private static func lines(_ text: String, to name: String) -> [Line?] {
    text.split(separator: "\n").map { line in
      guard let value = try? JSONValue(parsing: String(line)), let from = value["from"]?.string, !from.isBlank,
        let content = value["content"]?.string, !content.utf8.contains(0)
      else { return nil }
      let topic = value["topic_id"]?.string
      guard topic.map(ChatEvent.isTopicID) ?? true else { return nil }
      return Line(
        at: value["ts"]?.string.flatMap { Timestamp.milliseconds($0) }, topic: topic, from: from,
        to: value[name]?.string ?? "all", content: content)
    }
  }
}

extension ChatroomArchive {
  /// An event, the name that says it, whom it is for, and a key under which it is stored once, however many processes
  /// take it over.
  typealias Event = (text: (content: String, attributes: Attributes), from: String, to: String?, key: String)

  /// The events that stand for it, in order: topics are opened before anything is said in them, and closed after that.
  func events() -> [Event] {
    var events: [Event] = rooms.map { room in
      (ChatEvent.open(topic: room.id, title: room.title).message, "system", nil, "open:\(room.id)")
    }
    for (index, line) in messages.enumerated() {
      var attributes = ChatEvent.say(topic: line.topic).message.attributes
      attributes[ChatEvent.timeName] = line.at.map { String($0) }
      events.append(((line.content, attributes), line.from, line.to == "all" ? nil : line.to, "message:\(index)"))
    }
    for (index, line) in summaries.enumerated() {
      var attributes = ChatEvent.summary(topic: line.topic).message.attributes
      attributes["scope"] = line.to
      attributes[ChatEvent.timeName] = line.at.map { String($0) }
      events.append(((line.content, attributes), line.from, nil, "summary:\(index)"))
    }
    for place in places {
      let event = ChatEvent.cursor(name: place.name, topic: place.topic, from: nil, id: place.id)
      let key = "cursor:\(place.name)" + (place.topic.map { "\u{1f}" + $0 } ?? "")
      events.append((event.message, place.name, nil, key))
    }
    for room in rooms where room.isClosed {
      events.append((ChatEvent.close(topic: room.id).message, "system", nil, "close:\(room.id)"))
    }
    events.append((ChatEvent.imported.message, "system", nil, "end"))
    return events
  }
}
