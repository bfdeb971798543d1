import Glibc

/// A failed system call.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The call, as in its manual page.
  public let operation: String
  /// The value of `errno`.
  public let code: CInt

  /// Makes an error from a call's name and its `errno`.
  public init(operation: String, code: CInt) {
    self.operation = operation
    self.code = code
  }

  public var description: String {
    let text = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    return "\(operation): \(text)"
  }

  /// The error of the call that just failed on this thread.
  public static func last(_ operation: String) -> SystemError { SystemError(operation: operation, code: errno) }

  /// Returns `result`, or throws the thread's `errno` when it is negative.
  @discardableResult
  public static func check(_ operation: String, _ result: CInt) throws(SystemError) -> CInt {
    if result < 0 { throw last(operation) }
    return result
  }
}
