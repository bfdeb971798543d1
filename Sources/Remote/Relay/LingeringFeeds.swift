import ParleyRuntime

/// Keeps the shared subscription of a topic between two requests for its news, so that the backend is not asked for a
/// new one each time. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class LingeringFeeds: @unchecked Sendable {
  /// Longer than a client takes to ask again.
  private static let time: Duration = .seconds(30)

  private struct Stay {
    let follow: FollowID
    var until: LoopInstant
  }

  private let supervisor: Supervisor
  private let limit: Int
  private var stays: [Topic: Stay] = [:]
  private var timer: LoopTimer?

  init(supervisor: Supervisor, limit: Int) {
    self.supervisor = supervisor
    self.limit = limit
  }

  /// Follows topics for a while, from where somebody stands in each.
  func keep(_ places: [Topic: Cursor]) {
    let until = supervisor.loop.now.advanced(by: Self.time)
    for (topic, cursor) in places {
      if stays[topic] != nil {
        stays[topic]?.until = until
      } else if stays.count < limit {
        let follow = supervisor.assumeIsolated { $0.follow(topic, after: cursor) { _ in .more } }
        stays[topic] = Stay(follow: follow, until: until)
      }
    }
    sweepLater()
  }

  private func sweepLater() {
    guard timer == nil, !stays.isEmpty else { return }
    timer = supervisor.loop.schedule(after: Self.time) { [weak self] in
      guard let self else { return }
      timer = nil
      let now = supervisor.loop.now
      for (topic, stay) in stays where stay.until <= now {
        stays[topic] = nil
        supervisor.assumeIsolated { $0.unfollow(stay.follow) }
      }
      sweepLater()
    }
  }
}
