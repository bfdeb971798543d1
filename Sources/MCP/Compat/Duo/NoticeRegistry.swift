import ParleyRuntime

/// Where partners of this user want to be told of messages while they are away: a folder of files that only this user can
/// read, each written by the partner's own process.
///
/// A partner says in the log only a place: the name of its file and a word that stands in it. So whoever writes in the
/// log can name no path, and none but a partner that registered here is ever written to.
struct NoticeRegistry: Hashable, Sendable {
  /// What is kept for a partner that does not come back.
  private static let items = 100

  /// The folder; made where it is not there.
  let directory: String

  /// One partner's entry.
  fileprivate struct Entry {
    var partner: String
    /// Where its `CLAUDE.md` lies.
    var folder: String
    var word: String
    var items: [DuoNotice.Item]
  }

  // MARK: The partner's own process

  /// Says where the partner works; the place that others are told.
  func register(_ partner: String, folder: String) throws(NoticeFileHandle.Failure) -> String {
    var word = Self.makeWord()
    try change(Self.name(partner, folder)) { entry in
      if let entry { word = entry.word }
      return Entry(partner: partner, folder: folder, word: word, items: entry?.items ?? [])
    }
    return Self.name(partner, folder) + "." + word
  }

  /// What the partner's section says now, so that others can go on with it.
  func note(_ items: [DuoNotice.Item], of partner: String, folder: String) throws(NoticeFileHandle.Failure) {
    try change(Self.name(partner, folder)) { entry in
      guard var entry else { return nil }
      entry.items = items.prefix(Self.items).map(\.cut)
      return entry
    }
  }

  /// Nobody else writes for the partner any more.
  func withdraw(_ partner: String, folder: String) throws(NoticeFileHandle.Failure) {
    try NoticeFileHandle(folder: directory, name: Self.name(partner, folder) + ".json", isPrivate: true).remove()
  }

  // MARK: A sender's process

  /// Tells a partner that is away of a message, where it registered this place itself; false where it did not.
  func tell(_ partner: String, at place: String, of item: DuoNotice.Item) throws(NoticeFileHandle.Failure) -> Bool {
    let parts = place.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, parts.allSatisfy(Self.isWord) else { return false }
    var told: Entry?
    try change(parts[0]) { entry in
      guard var entry, entry.partner == partner, entry.word == parts[1], entry.items.count < Self.items,
        !entry.items.contains(where: { $0.message == item.message })
      else { return nil }
      entry.items.append(item.cut)
      told = entry
      return entry
    }
    guard let told else { return false }
    try NoticeFileHandle(folder: told.folder, name: "CLAUDE.md").change { DuoNotice.apply(told.items, to: $0) }
    return true
  }

  // MARK: Files

  private func change(_ name: String, _ edit: (Entry?) -> Entry?) throws(NoticeFileHandle.Failure) {
    let file = NoticeFileHandle(folder: directory, name: name + ".json", isPrivate: true)
    try file.change { text in edit(Entry(text))?.text }
  }

  private static func name(_ partner: String, _ folder: String) -> String {
    SHA256.hexadecimal("\(partner)\n\(folder)", digits: 32)
  }

  private static func makeWord() -> String { SHA256.hexadecimal(UUIDv4.make() + UUIDv4.make(), digits: 32) }

  private static func isWord(_ text: String) -> Bool {
    text.utf8.count == 32 && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
  }
}

extension NoticeRegistry.Entry {
  fileprivate init?(_ text: String) {
    guard let value = try? JSONValue(parsing: text), let partner = value["partner"]?.string,
      let folder = value["folder"]?.string, folder.hasPrefix("/"), let word = value["word"]?.string
    else { return nil }
    self.init(
      partner: partner, folder: folder, word: word,
      items: (value["unread"]?.array ?? []).compactMap { DuoNotice.Item($0) })
  }

  fileprivate var text: String {
    let value: JSONValue = [
      "partner": .string(partner), "folder": .string(folder), "word": .string(word),
      "unread": .array(items.map(\.json)),
    ]
    return value.text + "\n"
  }
}

extension DuoNotice.Item {
  fileprivate init?(_ value: JSONValue) {
    guard let message = value["message"]?.string, let sender = value["from"]?.string, let at = value["at"]?.int,
      let text = value["text"]?.string
    else { return nil }
    self.init(message: message, sender: sender, conversation: value["conversation"]?.string, at: at, text: text)
  }

  fileprivate var json: JSONValue {
    [
      "message": .string(message), "from": .string(sender), "conversation": .text(conversation), "at": .int(at),
      "text": .string(text),
    ]
  }
}
