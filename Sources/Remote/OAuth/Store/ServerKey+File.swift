import Glibc
import ParleyRuntime
import ParleyTLS

extension ServerKey {
  /// The key in a file, which is made where there is none (mode 0600, its folders too) and never overwritten.
  package init(file: String) throws(AuthStoreError) {
    do throws(SystemError) { self.init(try Self.load(file)) } catch {
      throw AuthStoreError("\(file) cannot be used: \(error)")
    }
  }

  private static func load(_ file: String) throws(SystemError) -> [UInt8] {
    try PrivateFolder.make(of: file)
    if unsafe access(file, F_OK) != 0 {
      let temporary = "\(file).\(getpid())"
      try FileAuthStore.writeNew(temporary, [UInt8](random: bytes))
      // Whoever is first wins: a link does not replace what is there.
      let result = unsafe link(temporary, file)
      let error = SystemError.last("link")
      unsafe unlink(temporary)
      guard result == 0 || error.code == EEXIST else { throw error }
    }
    let secret = try FileAuthStore.read(file)
    guard secret.count == bytes else { throw SystemError(operation: "read \(file)", code: EINVAL) }
    return secret
  }
}
