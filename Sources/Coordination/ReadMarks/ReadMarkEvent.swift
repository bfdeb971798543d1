import ParleyRuntime

/// How far one topic was read.
public struct ReadMark: Hashable, Sendable {
  /// The place behind the last message read.
  public var cursor: Cursor
  /// `storedAt` of that message, milliseconds since 1970; 0 where it is not known (imported marks).
  public var storedAt: Int64

  /// Makes a mark.
  public init(cursor: Cursor, storedAt: Int64) {
    self.cursor = cursor
    self.storedAt = storedAt
  }
}

/// What a participant's own topic says about read marks: the codec between events and messages.
///
/// An event is a message with a text for people and the attribute `kind`; `v` names the version of its shape and is
/// absent for 1. Later versions are not understood, on purpose.
enum ReadMarkEvent: Hashable, Sendable {
  /// One topic was read up to a place.
  case mark(Topic, ReadMark)
  /// All marks as they were at the place `through` of this log, so that older events need not be read.
  case checkpoint([Topic: ReadMark], hasImported: Bool, through: Cursor)
  /// Marks taken over from the file of the TypeScript Parley, for topics that had none.
  case imported([Topic: ReadMark])

  private enum Kind: String {
    case mark
    case checkpoint = "marks"
    case imported = "marks.import"
  }

  /// Reads the event of a message.
  init(_ message: Message) throws(EventRefusal) {
    guard let kind = message.kind.flatMap(Kind.init) else { throw .foreign }
    let attributes = message.attributes
    guard attributes["v", default: "1"] == "1" else { throw .later }
    switch kind {
    case .mark:
      guard let topic = attributes["topic"], let cursor = attributes["cursor"], !topic.isEmpty, !cursor.isEmpty,
        let storedAt = attributes["stored_at"].flatMap({ Int64($0) }), storedAt >= 0
      else { throw .malformed }
      self = .mark(Topic(topic), ReadMark(cursor: Cursor(cursor), storedAt: storedAt))
    case .checkpoint:
      guard let through = attributes["through"], !through.isEmpty else { throw .malformed }
      self = .checkpoint(
        try Self.marks(in: message.content), hasImported: attributes["imported"] == "true", through: Cursor(through))
    case .imported:
      self = .imported(try Self.marks(in: message.content))
    }
  }

  /// Where the checkpoint in this message stands for what came before; nil where it is none.
  static func through(of message: Message) -> Cursor? {
    guard message.kind == Kind.checkpoint.rawValue else { return nil }
    do throws(EventRefusal) {
      guard case .checkpoint(_, _, let through) = try ReadMarkEvent(message) else { return nil }
      return through
    } catch {
      return nil
    }
  }

  /// The text and the attributes of the message that carries the event.
  var message: (content: String, attributes: Attributes) {
    switch self {
    case .mark(let topic, let mark):
      (
        "read \(topic.name) up to \(mark.cursor.text)",
        [
          "kind": Kind.mark.rawValue, "topic": topic.name, "cursor": mark.cursor.text,
          "stored_at": String(mark.storedAt),
        ]
      )
    case .checkpoint(let marks, let hasImported, let through):
      (
        Self.text(of: marks),
        ["kind": Kind.checkpoint.rawValue, "through": through.text, "imported": hasImported ? "true" : "false"]
      )
    case .imported(let marks): (Self.text(of: marks), ["kind": Kind.imported.rawValue])
    }
  }

  private static func text(of marks: [Topic: ReadMark]) -> String {
    var writer = JSONWriter(capacity: 64 * marks.count + 16)
    writer.beginArray()
    for (topic, mark) in marks.sorted(by: { $0.key < $1.key }) {
      writer.beginObject()
      writer.key("topic")
      writer.string(topic.name)
      writer.key("cursor")
      writer.string(mark.cursor.text)
      writer.key("stored_at")
      writer.int(mark.storedAt)
      writer.endObject()
    }
    writer.endArray()
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  private static func marks(in text: String) throws(EventRefusal) -> [Topic: ReadMark] {
    let list: JSONSlice
    do throws(JSONError) { list = try JSONSlice(text) } catch { throw .malformed }
    guard list.kind == .array else { throw .malformed }
    var marks: [Topic: ReadMark] = [:]
    for entry in list.elements {
      guard let topic = entry.member("topic")?.string, let cursor = entry.member("cursor")?.string, !topic.isEmpty,
        !cursor.isEmpty, let storedAt = entry.member("stored_at")?.int, storedAt >= 0
      else { throw .malformed }
      marks[Topic(topic)] = ReadMark(cursor: Cursor(cursor), storedAt: storedAt)
    }
    return marks
  }
}
