import ParleyRuntime

/// A read that is under way.
//
// @unchecked: confined to the loop's thread.
final class PendingRead: @unchecked Sendable {
  /// What it brought of one stream.
  struct Found {
    let stream: FollowedStream
    let messages: [(id: StreamID, message: Message)]
    /// How many entries there were, readable or not.
    let count: Int
  }

  let isBlocking: Bool
  let began: LoopInstant
  /// Entries of one stream that it may bring.
  let limit: Int
  var isAnswered = false
  /// Something came that it does not cover: the next read follows at once.
  var isOutdated = false
  var found: [Found] = []
  /// Questions without an answer.
  var openQuestions = 0
  var losses: [(RedisSubscription, LogPlace, StreamReader.Loss)] = []

  init(isBlocking: Bool, began: LoopInstant, limit: Int) {
    self.isBlocking = isBlocking
    self.began = began
    self.limit = limit
  }

  /// What it brought of a stream; nil for nothing.
  func found(of stream: FollowedStream) -> Found? { found.first { $0.stream === stream } }
}
