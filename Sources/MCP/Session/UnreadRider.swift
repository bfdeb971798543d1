import ParleyRuntime

/// The unread counts that ride along in every tool result, made anew only when they changed.
struct UnreadRider {
  /// Results have waited for the catch-up once, which is all the patience there is.
  var hasWaited = false
  /// `"unread":{…}`, and `"unreadCapped":[…]` where a count is a lower bound.
  private(set) var members = Array(#""unread":{}"#.utf8)
  /// The same for `_meta`, under `parley/…`.
  private(set) var metaMembers = Array(#""parley/unread":{}"#.utf8)
  private var revision: UInt64 = 0

  /// Must be called on the inbox's loop.
  mutating func refresh(from inbox: Inbox) {
    let current = inbox.assumeIsolated { $0.unreadRevision }
    guard current != revision else { return }
    revision = current
    let counts = inbox.assumeIsolated { $0.unread }.sorted { $0.key < $1.key }
    members = Self.text(counts, "unread", capped: "unreadCapped")
    metaMembers = Self.text(counts, "parley/unread", capped: "parley/unreadCapped")
  }

  private static func text(
    _ counts: [(key: Topic, value: Unread)], _ name: StaticString, capped cappedName: StaticString
  ) -> [UInt8] {
    var writer = JSONWriter(capacity: 64)
    writer.key(trusted: name)
    writer.beginObject()
    for (topic, unread) in counts {
      writer.key(topic.name)
      writer.int(unread.count)
    }
    writer.endObject()
    guard counts.contains(where: \.value.isCapped) else { return writer.bytes }
    writer.key(trusted: cappedName)
    writer.beginArray()
    for (topic, unread) in counts where unread.isCapped { writer.string(topic.name) }
    writer.endArray()
    return writer.bytes
  }
}
