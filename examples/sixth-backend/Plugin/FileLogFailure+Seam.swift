import Glibc
import ParleyRuntime

extension SystemError {
  /// The failure as the seam tells it.
  func seamError(_ operation: String) -> SeamError {
    SeamError(seamCode, native: Int(code), operation: operation, cause: description)
  }

  private var seamCode: SeamError.Code {
    switch code {
    case ENOSPC, EDQUOT: .storageFull
    case EACCES, EPERM, EROFS: .forbidden
    default: .unavailable
    }
  }
}
