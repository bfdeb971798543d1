import Glibc
import ParleyRuntime

/// Why a scenario could not be measured.
struct BenchError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  /// A failed system call, from its `errno`.
  init(_ operation: String, code: CInt) {
    description = SystemError(operation: operation, code: code).description
  }

  /// The system call that just failed on this thread.
  static func last(_ operation: String) -> BenchError { BenchError(operation, code: errno) }
}
