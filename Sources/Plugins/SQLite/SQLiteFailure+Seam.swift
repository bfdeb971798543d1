import CSQLite
import Glibc
import ParleyRuntime

extension SQLiteFailure {
  /// The failure as the seam tells it. What it means for the operation's outcome is the caller's to say.
  func seamError(_ operation: String) -> SeamError {
    SeamError(seamCode, native: Int(extended), operation: operation, cause: cause)
  }

  /// Another connection holds a lock; trying again later may work.
  var isBusy: Bool { code == SQLITE_BUSY || code == SQLITE_LOCKED }

  /// A unique index refused the row.
  var isKeyTaken: Bool { extended == SQLITE_CONSTRAINT | 8 << 8 }

  /// The row, not the file, is at fault; the transaction goes on.
  var isRowsFault: Bool { code == SQLITE_TOOBIG || code == SQLITE_CONSTRAINT }

  /// After this failure of COMMIT, what a recovery will find is open: written frames that may not be synced.
  var leavesCommitOpen: Bool { code == SQLITE_IOERR && seamCode != .storageFull }

  private var seamCode: SeamError.Code {
    if system == ENOSPC || system == EDQUOT { return .storageFull }
    return switch code {
    case SQLITE_FULL: .storageFull
    case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH: .forbidden
    case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt
    case SQLITE_TOOBIG: .tooLarge(limit: nil)
    case SQLITE_SCHEMA, SQLITE_NOLFS: .unsupported
    default: .unavailable
    }
  }

  private var cause: String {
    let system = system == 0 ? "" : ": " + SystemError(operation: "errno \(system)", code: system).description
    return switch code {
    case SQLITE_BUSY, SQLITE_LOCKED: "another program kept the file locked (\(message))"
    case SQLITE_NOTADB: "the file is not a SQLite database"
    case SQLITE_READONLY: "the file or its directory cannot be written (\(message))"
    default: message + system
    }
  }
}
