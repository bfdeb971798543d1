import ParleyRuntime

/// Holds a handle for the life of a process, so that another instance in the same project takes the next number.
///
/// The kernel lets go of the lock when the process ends, however it ends. The file stays: removing it would let two
/// processes lock two files of one name.
package final class HandleLease: Sendable {
  /// The handle that is held.
  package let handle: String
  private let descriptor: CInt

  private init(handle: String, descriptor: CInt) {
    self.handle = handle
    self.descriptor = descriptor
  }

  deinit { FileSystem.unlock(descriptor) }

  /// How many numbers are tried.
  static let attempts = 999

  /// Takes `base`, or else the first of `base-2`, `base-3`, … that no living process holds. Nil when all are held.
  static func take(_ base: String, in directory: String) throws(SystemError) -> HandleLease? {
    try PrivateFolder.make(directory)
    for number in 1...attempts {
      let handle = number == 1 ? base : "\(base)-\(number)"
      if let descriptor = try FileSystem.lock("\(directory)/\(handle).lock") {
        return HandleLease(handle: handle, descriptor: descriptor)
      }
    }
    return nil
  }
}
