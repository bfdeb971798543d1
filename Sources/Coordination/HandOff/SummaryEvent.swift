import ParleyRuntime

/// What somebody wrote down for those who come later.
public struct Summary: Hashable, Sendable {
  /// The one it is for; nil for all.
  public var scope: Handle?
  /// The text.
  public var text: String
  /// Who wrote it.
  public var by: Handle
  /// When, milliseconds since 1970.
  public var at: Int64
  /// The message that said so first.
  public var message: MessageID
}

/// What a topic's log says about summaries: the codec between events and messages.
enum SummaryEvent: Hashable, Sendable {
  /// A summary for all, or for one.
  case summary(scope: Handle?, text: String)
  /// The latest ones at the place `through` of the log.
  case checkpoint([Summary], through: Cursor)

  /// A summary has at most so many bytes.
  static let textBytes = 16_384

  private enum Kind: String {
    case summary
    case checkpoint = "summary.state"
  }

  /// Whether a message is one of these, damaged ones and later versions too.
  static func owns(_ message: Message) -> Bool { message.kind.flatMap(Kind.init) != nil }

  /// Reads the event of a message.
  init(_ message: Message) throws(EventRefusal) {
    guard let kind = message.kind.flatMap(Kind.init) else { throw .foreign }
    let attributes = message.attributes
    guard attributes["v", default: "1"] == "1" else { throw .later }
    switch kind {
    case .summary:
      guard let scope = attributes["scope"], !scope.isEmpty, scope.utf8.count <= 4_096,
        (1...Self.textBytes).contains(message.content.utf8.count)
      else { throw .malformed }
      self = .summary(scope: scope == "all" ? nil : Handle(scope), text: message.content)
    case .checkpoint:
      guard let through = attributes["through"], !through.isEmpty else { throw .malformed }
      self = .checkpoint(try Self.summaries(in: message.content), through: Cursor(through))
    }
  }

  private static func summaries(in text: String) throws(EventRefusal) -> [Summary] {
    var all: [Summary] = []
    for entry in try StateText.read(text).objects("summaries") {
      let scope = try entry.text("scope")
      all.append(
        Summary(
          scope: scope == "all" ? nil : Handle(scope), text: try entry.text("text"), by: Handle(try entry.text("by")),
          at: try entry.count("at"), message: MessageID(try entry.text("message"))))
    }
    return all
  }

  /// Up to where the checkpoint in this message stands; nil where it is none.
  static func through(of message: Message) -> Cursor? {
    guard message.kind == Kind.checkpoint.rawValue else { return nil }
    do throws(EventRefusal) {
      guard case .checkpoint(_, let through) = try SummaryEvent(message) else { return nil }
      return through
    } catch {
      return nil
    }
  }

  /// The text and the attributes of the message that carries the event.
  var message: EventText {
    switch self {
    case .summary(let scope, let text): (text, ["kind": Kind.summary.rawValue, "scope": scope?.name ?? "all"])
    case .checkpoint(let all, let through):
      (
        StateText.write { writer in
          writer.key("summaries")
          writer.beginArray()
          for summary in all {
            writer.beginObject()
            writer.text("scope", summary.scope?.name ?? "all")
            writer.text("text", summary.text)
            writer.text("by", summary.by.name)
            writer.key("at")
            writer.int(summary.at)
            writer.text("message", summary.message.text)
            writer.endObject()
          }
          writer.endArray()
        },
        ["kind": Kind.checkpoint.rawValue, "through": through.text, Checkpoints.quiet: "1"]
      )
    }
  }
}
