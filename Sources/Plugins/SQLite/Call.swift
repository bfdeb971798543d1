import ParleyRuntime
import Synchronization

/// One call on its way from the backend's loop to a thread that may block, and back.
///
/// Until the thread takes it the backend may withdraw it, and then nothing was done; that is decided by one atomic, so
/// "not stored" is true even while the thread hangs. Whatever comes first answers the caller, once.
final class Call<Request: Sendable, Reply: Sendable>: Sendable {
  let request: Request
  let deadline: LoopInstant
  private let reply: @Sendable (Result<Reply, SeamError>) -> Void
  private let stage = Atomic<UInt8>(waiting)

  private static var waiting: UInt8 { 0 }
  private static var taken: UInt8 { 1 }
  private static var answered: UInt8 { 2 }

  /// `reply` is called once, on the backend's loop.
  init(
    _ request: Request, deadline: LoopInstant, reply: @escaping @Sendable (Result<Reply, SeamError>) -> Void
  ) {
    self.request = request
    self.deadline = deadline
    self.reply = reply
  }

  /// The thread is about to act: the call can no longer be withdrawn. False when it has been.
  func take() -> Bool {
    stage.compareExchange(expected: Self.waiting, desired: Self.taken, ordering: .acquiringAndReleasing).exchanged
  }

  /// Nobody acts on it and nobody waits for it any more.
  var isOver: Bool { stage.load(ordering: .acquiring) == Self.answered }

  /// Answers a call that no thread has taken; on the backend's loop. False when one has.
  func withdraw(_ error: SeamError) -> Bool {
    let (done, _) = stage.compareExchange(
      expected: Self.waiting, desired: Self.answered, ordering: .acquiringAndReleasing)
    if done { reply(.failure(error)) }
    return done
  }

  /// Answers the call unless something else did; on the backend's loop.
  func answer(_ result: Result<Reply, SeamError>) {
    if stage.exchange(Self.answered, ordering: .acquiringAndReleasing) != Self.answered { reply(result) }
  }
}

/// What the backend's table of open calls does with any of them.
protocol OpenCall: AnyObject, Sendable {
  var deadline: LoopInstant { get }
  /// Answers it if nothing was done yet; false when a thread is at work on it.
  func withdraw(_ error: SeamError) -> Bool
  /// Answers it although a thread is at work on it.
  func abandon(_ error: SeamError)
}

extension Call: OpenCall {
  func abandon(_ error: SeamError) { answer(.failure(error)) }
}

typealias PostCall = Call<PostOrder, Receipt>
typealias FetchCall = Call<ReaderSession.Request, Page>

/// A draft on its way to the writer.
struct PostOrder: Sendable {
  let draft: Draft
  /// An earlier attempt with this generated key ended with an unknown outcome: look for it before storing.
  let isRetry: Bool
}
