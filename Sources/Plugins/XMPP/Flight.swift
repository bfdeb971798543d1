import ParleyRuntime

/// A key in a room: what makes two posts of this account the same.
struct FlightKey: Hashable {
  let room: JID
  let originID: String
}

/// A post under way, until the room's reflection says where it landed; confined to its loop.
//
// @unchecked: confined to the loop's thread.
final class Flight: @unchecked Sendable {
  let digest: [UInt8]
  let outcome: Waiters<Result<String, SeamError>>
  var result: Result<String, SeamError>?
  var isSent = false
  /// The room refused it because we were not in it.
  var isOutside = false
  /// Its number on the stream, where stanzas are counted.
  var number: UInt32 = 0
  /// The newest entry of the log that was known before it was sent: it can only stand behind that.
  var lastBefore: String?

  init(digest: [UInt8], loop: EventLoop) {
    self.digest = digest
    outcome = Waiters(loop: loop)
  }

  func finish(_ result: Result<String, SeamError>) {
    guard self.result == nil else { return }
    self.result = result
    outcome.resumeAll(result)
  }
}

/// What is known of a post whose caller was told that its outcome is unknown.
enum Doubt: Hashable {
  /// It was sent on a stream that was cut; whether the server handled it, a resumption may tell.
  case sent(number: UInt32, lastBefore: String?)
  /// The server handled it: its reflection comes with the resumed stream, or stands in the archive.
  case handled(lastBefore: String?)
  /// Only the archive knows.
  case search(lastBefore: String?)
  /// It is stored.
  case stored(String)
}
