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
    var object = JSONWriter(capacity: 64)
    object.beginObject()
    for (topic, unread) in counts {
      object.key(topic.name)
      object.int(unread.count)
    }
    object.endObject()
    members = Array(#""unread":"#.utf8) + object.bytes
    metaMembers = Array(#""parley/unread":"#.utf8) + object.bytes
    guard counts.contains(where: \.value.isCapped) else { return }
    var capped = JSONWriter()
    capped.beginArray()
    for (topic, unread) in counts where unread.isCapped { capped.string(topic.name) }
    capped.endArray()
    members += Array(#","unreadCapped":"#.utf8) + capped.bytes
    metaMembers += Array(#","parley/unreadCapped":"#.utf8) + capped.bytes
  }
}
