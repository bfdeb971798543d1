import ParleyRuntime

/// A read that is under way.
//
// @unchecked: confined to the loop's thread.
final class PendingRead: @unchecked Sendable {
  let positions: [String: StreamID]
  let isBlocking: Bool
  let began: LoopInstant
  var isAnswered = false
  /// Something came that it does not cover: the next read follows at once.
  var isOutdated = false
  var found: [(stream: String, entries: [RedisReply])] = []
  /// Streams whose witness was asked for, and questions without an answer.
  var asked: Set<String> = []
  var openQuestions = 0
  var losses: [(RedisSubscription, LogPlace, StreamReader.Loss)] = []

  init(positions: [String: StreamID], isBlocking: Bool, began: LoopInstant) {
    self.positions = positions
    self.isBlocking = isBlocking
    self.began = began
  }
}
