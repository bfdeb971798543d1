import ParleyRuntime

/// One post on its way; answered once, by the first of reply, deadline, cancellation and loss.
//
// @unchecked: confined to the loop's thread.
final class RedisPost: @unchecked Sendable {
  let number: UInt64
  let draft: Draft
  let deadline: LoopInstant
  /// Its bytes were given to a connection: from here on its outcome may be unknown.
  var isSent = false
  /// An id that is smaller than the one it is given.
  var bound = StreamID.zero
  private var reply: PostReply?
  /// The posts with which it waits for replicas.
  var batch: ReplicaBatch?
  /// Retries of the same key that wait for this one's outcome.
  var followers: [RedisPost] = []

  init(number: UInt64, draft: Draft, deadline: LoopInstant, reply: @escaping PostReply) {
    self.number = number
    self.draft = draft
    self.deadline = deadline
    self.reply = reply
  }

  var isAnswered: Bool { reply == nil }

  func answer(_ result: Result<Receipt, SeamError>) {
    guard let tell = reply else { return }
    reply = nil
    tell(result)
  }
}

/// A topic that is posted to, in one session.
final class PostedLog {
  let stream: String
  /// How its XADD begins, as the server reads it.
  let command: [UInt8]
  /// The latest id that this session was told: no later post has a smaller one.
  var latest: StreamID?
  var postsSinceTrim = 0

  init(stream: String) {
    self.stream = stream
    command = RESP.bulk("XADD") + RESP.bulk(stream) + RESP.bulk("NOMKSTREAM")
  }
}
