import ParleyRuntime

/// Whether participants meet on a topic, by what each said of itself.
///
/// Patterns of others are untrusted: those that could take long are passed over, and names are cut before matching.
struct Reachability {
  /// UTF-16 units of a pattern, and of a name that is matched.
  static let patternUnits = 512
  static let nameUnits = 64

  private let hub: Hub
  private let scope: Topic?
  private var patterns: [String: TopicPattern?] = [:]

  /// `scope` is the topic to meet on; nil for any topic of the hub's participant.
  init(hub: Hub, scope: Topic?) {
    self.hub = hub
    self.scope = scope
  }

  /// Must be called on the hub's loop.
  mutating func reaches(_ peer: Participant) -> Bool {
    if let scope {
      return peer.topics.contains { Topic($0) == scope } || peer.postTopics.contains { matches($0, scope) }
    }
    if peer.topics.contains(where: { name in hub.assumeIsolated { $0.permits(Topic(name)) } }) { return true }
    return peer.postTopics.contains { pattern in hub.setup.topics.contains { matches(pattern, $0) } }
  }

  private mutating func matches(_ source: String, _ topic: Topic) -> Bool {
    guard let pattern = compiled(source) else { return false }
    return pattern.matches(String(decoding: topic.name.utf16.prefix(Self.nameUnits), as: UTF16.self))
  }

  private mutating func compiled(_ source: String) -> TopicPattern? {
    if let known = patterns[source] { return known }
    var pattern: TopicPattern?
    if source.utf16.count <= Self.patternUnits {
      do throws(HubError) { pattern = try TopicPattern(source) } catch { pattern = nil }
    }
    patterns[source] = .some(pattern)
    return pattern
  }
}
