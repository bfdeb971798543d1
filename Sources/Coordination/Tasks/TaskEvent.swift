import ParleyRuntime

/// What the log says about tasks: the codec between events and messages.
///
/// An event is a message with a line for people and attributes for programs; the first is `kind`. `v` names the version
/// of its shape and is absent for 1. A text (result, reason) stands in the content behind the first `: `.
enum TaskEvent: Hashable, Sendable {
  /// A task is there to be taken; the message's `to` is the one handle that may take it.
  case post(TaskID, Posted)
  /// Whoever is first takes it for so many milliseconds.
  case claim(TaskID, lease: Int64)
  /// Its holder needs it so much longer, from now.
  case extend(TaskID, fence: MessageID, lease: Int64)
  /// Its holder is done.
  case done(TaskID, fence: MessageID, result: String)
  /// Its holder cannot do it, nor could another.
  case fail(TaskID, fence: MessageID, reason: String)
  /// Its holder gives it back.
  case release(TaskID, fence: MessageID, reason: String)
  /// Its poster withdraws it.
  case cancel(TaskID, reason: String)

  /// What a poster says of a task.
  struct Posted: Hashable, Sendable {
    var title: String
    var body: String?
    /// So many milliseconds after its posting nobody can do it any more.
    var lifetime: Int64
    /// The digits that the line for people shows.
    var label: String
  }

  /// The longest that a task may live, and be held: no fold reads further back (milliseconds).
  static let longest: Int64 = 30 * 86_400_000
  /// A title is one line of at most so many bytes.
  static let titleBytes = 256
  /// Every kind of these begins so.
  static let prefix = "task."
  /// Attributes that the codec leaves alone begin so, and are kept up to this size (bytes).
  private static let extraPrefix = "x-"
  private static let extraBytes = 4_096

  /// The attributes that the codec leaves alone; none where there are more than a message of ours may have.
  static func extra(of message: Message) -> Attributes {
    guard message.attributes.contains(where: { $0.key.hasPrefix(extraPrefix) }) else { return [:] }
    let extra = message.attributes.filter { $0.key.hasPrefix(extraPrefix) }
    return extra.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count } <= extraBytes ? extra : [:]
  }

  private enum Kind: String {
    case post = "task.post"
    case claim = "task.claim"
    case extend = "task.extend"
    case done = "task.done"
    case fail = "task.fail"
    case release = "task.release"
    case cancel = "task.cancel"
  }

  /// Reads the event of a message.
  init(_ message: Message) throws(EventRefusal) {
    guard let name = message.kind, name.hasPrefix(Self.prefix) else { throw .foreign }
    let attributes = message.attributes
    guard attributes["v", default: "1"] == "1", let kind = Kind(rawValue: name) else { throw .later }
    guard let id = attributes["task"].flatMap(TaskID.init) else { throw .malformed }
    if kind == .post {
      self = .post(id, try Self.posted(message, id))
      return
    }
    if kind == .claim {
      self = .claim(id, lease: try Self.duration(attributes["lease_ms"]))
      return
    }
    let text = Self.text(in: message.content)
    if kind == .cancel {
      self = .cancel(id, reason: text)
      return
    }
    guard let fence = attributes["fence"], !fence.isEmpty else { throw .malformed }
    switch kind {
    case .extend:
      self = .extend(id, fence: MessageID(fence), lease: try Self.duration(attributes["lease_ms"]))
    case .done: self = .done(id, fence: MessageID(fence), result: text)
    case .fail: self = .fail(id, fence: MessageID(fence), reason: text)
    case .release: self = .release(id, fence: MessageID(fence), reason: text)
    case .post, .claim, .cancel: throw .malformed
    }
  }

  private static func posted(_ message: Message, _ id: TaskID) throws(EventRefusal) -> Posted {
    let attributes = message.attributes
    guard let title = attributes["title"], isTitle(title) else { throw .malformed }
    let lifetime = try duration(attributes["ttl_ms"])
    let label = attributes["label"] ?? id.label
    guard label.utf8.count >= TaskID.shortest, id.begins(with: label) else { throw .malformed }
    let body = message.content.rest(after: "\n\n")
    return Posted(title: title, body: body, lifetime: lifetime, label: label)
  }

  /// Whether a text can be a title: one line that shows as it is, not blank, of bounded length.
  static func isTitle(_ text: String) -> Bool {
    text.utf8.count <= titleBytes && text.unicodeScalars.contains { !$0.properties.isWhitespace }
      && VisibleText.visible(text, keepsLines: false) == text
  }

  private static func duration(_ text: String?) throws(EventRefusal) -> Int64 {
    guard let text, let milliseconds = Int64(text), (1...longest).contains(milliseconds) else { throw .malformed }
    return milliseconds
  }

  private static func text(in content: String) -> String {
    content.rest(after: ": ") ?? ""
  }

  // MARK: Writing

  /// The text and the attributes of the message that carries the event. `label` is what people call the task, `until`
  /// when a lease would end (milliseconds since 1970), for the line they read.
  func message(label: String, by handle: Handle, until: Int64 = 0) -> (content: String, attributes: Attributes) {
    let who = VisibleText.visible(handle.name, keepsLines: false)
    switch self {
    case .post(let id, let posted):
      let heading = "task \(label): \(posted.title)"
      return (
        posted.body.map { "\(heading)\n\n\($0)" } ?? heading,
        [
          "kind": Kind.post.rawValue, "label": posted.label, "task": id.text, "title": posted.title,
          "ttl_ms": String(posted.lifetime),
        ]
      )
    case .claim(let id, let lease):
      return (
        "task \(label) claimed by \(who) until \(ClockText.text(until))",
        ["kind": Kind.claim.rawValue, "lease_ms": String(lease), "task": id.text]
      )
    case .extend(let id, let fence, let lease):
      return (
        "task \(label) held by \(who) until \(ClockText.text(until))",
        ["fence": fence.text, "kind": Kind.extend.rawValue, "lease_ms": String(lease), "task": id.text]
      )
    case .done(let id, let fence, let result):
      return (Self.line("task \(label) done", result), Self.attributes(.done, id, fence))
    case .fail(let id, let fence, let reason):
      return (Self.line("task \(label) failed", reason), Self.attributes(.fail, id, fence))
    case .release(let id, let fence, let reason):
      return (Self.line("task \(label) given back", reason), Self.attributes(.release, id, fence))
    case .cancel(let id, let reason):
      return (Self.line("task \(label) withdrawn", reason), Self.attributes(.cancel, id, nil))
    }
  }

  private static func line(_ heading: String, _ text: String) -> String {
    text.isEmpty ? heading : "\(heading): \(text)"
  }

  private static func attributes(_ kind: Kind, _ id: TaskID, _ fence: MessageID?) -> Attributes {
    ["fence": fence?.text, "kind": kind.rawValue, "task": id.text]
  }
}

/// Times of day for lines that people read.
enum ClockText {
  /// `14:05 UTC` of milliseconds since 1970.
  static func text(_ milliseconds: Int64) -> String {
    let minutes = milliseconds / 60_000 % 1_440
    func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(two(minutes / 60)):\(two(minutes % 60)) UTC"
  }
}
