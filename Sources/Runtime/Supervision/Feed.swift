/// Names one follower of a topic.
public struct FollowID: Hashable, Sendable {
  let topic: Topic
  let number: UInt64
}

/// One topic's fan-out: a single backend subscription that every follower shares. Confined to the supervisor.
///
/// A follower is either at the subscription's place (`live`), and gets each delivery as it comes, or elsewhere, and
/// reads pages of its own until it stands at exactly the same cursor. Cursors are compared for equality alone (S3).
//
// @unchecked: an object so that a delivery finds it without a look-up; only touched on the supervisor's loop.
final class Feed: @unchecked Sendable {
  enum FollowerState: Hashable {
    /// At the feed's place.
    case live
    /// A page is being read; `hinted` when the feed delivered something meanwhile.
    case reading(hinted: Bool)
    /// Read everything there was, but not known to stand where the feed stands: the next delivery starts a read.
    case idle
    /// Its sink answered `.pause`.
    case paused
  }

  /// One who follows; an object, so that a delivery looks it up once.
  // @unchecked: an object like its feed.
  final class Follower: @unchecked Sendable {
    let sink: Sink
    let isUrgent: Bool
    var cursor: Cursor
    var state: FollowerState

    init(sink: @escaping Sink, isUrgent: Bool, cursor: Cursor, state: FollowerState) {
      self.sink = sink
      self.isUrgent = isUrgent
      self.cursor = cursor
      self.state = state
    }
  }

  /// Its last follower left: what its subscription may still deliver, or a call that still makes it, is too late.
  var isEnded = false
  /// Where the backend's subscription stands, or will go on from.
  var position: Cursor
  var subscription: SubscriptionID?
  /// A `subscribe` call is under way.
  var isSubscribing = false
  /// The subscription waits for `resume`, because every follower is paused.
  var isPaused = false
  /// The backend was told that nobody waits for the next delivery.
  var isPutOff = false
  var followers: [UInt64: Follower] = [:]

  init(position: Cursor) { self.position = position }

  /// Followers in the order in which they came, for deterministic delivery.
  var order: [UInt64] { followers.keys.sorted() }

  var allPaused: Bool { followers.values.allSatisfy { $0.state == .paused } }
}
