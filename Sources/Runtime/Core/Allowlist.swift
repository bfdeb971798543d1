/// Which topics a participant may use: the configured ones, and for posting and fetching those that a pattern matches.
///
/// Reserved names (`@…`, `~…`) and the presence topic are never allowed, whatever the patterns say.
public struct Allowlist {
  /// The configured topics, in configuration order.
  public let topics: [Topic]
  private let explicit: Set<Topic>
  private let patterns: [TopicPattern]
  private let presenceTopic: Topic

  /// Compiles the patterns, which must match a whole name. Throws `badArgument` for one that does not compile.
  public init(topics: [Topic], postPatterns: [String], presenceTopic: Topic) throws(HubError) {
    self.topics = topics
    self.presenceTopic = presenceTopic
    explicit = Set(topics)
    var patterns: [TopicPattern] = []
    for (index, source) in postPatterns.enumerated() {
      do throws(HubError) {
        patterns.append(try TopicPattern(source))
      } catch {
        throw .badArgument(name: "post_topics.\(index)", reason: "invalid regex: \(source)")
      }
    }
    self.patterns = patterns
  }

  /// Whether posting to and fetching from the topic is allowed.
  public func permits(_ topic: Topic) -> Bool {
    guard !topic.isReserved, topic != presenceTopic else { return false }
    return explicit.contains(topic) || patterns.contains { $0.matches(topic.name) }
  }

  /// Whether the topic is one of the configured ones, which are subscribed.
  public func subscribes(_ topic: Topic) -> Bool { explicit.contains(topic) }
}
