import ParleyRuntime

/// The way back for one incoming message, where a session's messages do not all leave by one output: an HTTP request.
///
/// Called on the session's loop. Whatever comes after `answer` or `cancelled` is dropped by the path.
package protocol ReplyPath: AnyObject, Sendable {
  /// The answer, or the answers of a batch: the last message. `failure` is the error's code where it is one error.
  func answer(_ message: [UInt8], failure: Int?)
  /// A notification that belongs to the request: progress, or what a `subscriptions/listen` brings.
  func tell(_ message: [UInt8])
  /// There will be no answer.
  func cancelled()
  /// The trace that the request belongs to, as what carried it says; nil unless a path says so.
  var trace: TraceContext? { get }
}

extension ReplyPath {
  package var trace: TraceContext? { nil }
}
