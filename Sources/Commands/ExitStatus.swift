import ArgumentParser
import ParleyConfiguration
import ParleyRuntime

/// The exit codes of every command; stable, documented in `--help` and docs/cli.md.
public enum ExitStatus: Int32, Sendable {
  /// It worked.
  case ok = 0
  /// It failed for a reason that has no code of its own.
  case failed = 1
  /// The command line is wrong.
  case usage = 2
  /// The configuration is wrong or cannot be read.
  case configuration = 3
  /// Nothing came within the time.
  case nothing = 4
  /// The backend cannot be reached.
  case unavailable = 5
  /// The topic or handle may not be used, or the backend refuses this account.
  case notAllowed = 6
  /// A task that was waited for failed, or was withdrawn.
  case taskFailed = 7
  /// A task that was waited for expired.
  case taskExpired = 8

  /// The one place that maps an error to an exit code.
  static func of(_ error: any Error) -> ExitStatus {
    switch error {
    case let failure as CommandFailure: failure.status
    case is ConfigurationError: .configuration
    case let error as HubError: of(error)
    case let error as SeamError: of(.seam(error))
    default: .failed
    }
  }

  private static func of(_ error: HubError) -> ExitStatus {
    switch error {
    case .topicNotAllowed, .handleNotAllowed: .notAllowed
    case .badArgument, .overLimit: .usage
    case .refused: .failed
    case .seam(let error):
      switch error.code {
      case .unavailable, .timedOut, .rateLimited: .unavailable
      case .unauthorized, .forbidden: .notAllowed
      case .cursorInvalid, .invalidRequest: .usage
      default: .failed
      }
    }
  }
}

/// A failure that a command words itself.
struct CommandFailure: Error, CustomStringConvertible {
  let status: ExitStatus
  let code: String
  let description: String

  init(_ status: ExitStatus, code: String, _ description: String) {
    self.status = status
    self.code = code
    self.description = description
  }
}
