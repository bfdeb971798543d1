import ParleyRuntime

/// One post on its way: it may be withdrawn until its turn in the queue comes. Confined to the backend's loop.
//
// @unchecked: only touched on the backend's loop.
final class PostCall: @unchecked Sendable {
  enum Stage {
    case queued
    case sending
    case answered
  }

  let draft: Draft
  let deadline: LoopInstant
  private(set) var stage = Stage.queued
  private let continuation: CheckedContinuation<Result<Receipt, SeamError>, Never>

  init(
    _ draft: Draft, deadline: LoopInstant, continuation: CheckedContinuation<Result<Receipt, SeamError>, Never>
  ) {
    self.draft = draft
    self.deadline = deadline
    self.continuation = continuation
  }

  /// Its turn has come. False when it was withdrawn.
  func take() -> Bool {
    guard stage == .queued else { return false }
    stage = .sending
    return true
  }

  /// Nothing was done, and nothing will be. No effect once it is on its way.
  func withdraw(_ error: SeamError) {
    if stage == .queued { answer(.failure(error)) }
  }

  /// Answers the caller, once.
  func answer(_ result: Result<Receipt, SeamError>) {
    guard stage != .answered else { return }
    stage = .answered
    continuation.resume(returning: result)
  }
}
