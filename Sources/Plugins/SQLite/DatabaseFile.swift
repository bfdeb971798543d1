import ParleyRuntime

/// What is asked of a path before SQLite may open it.
enum DatabaseFile {
  /// Throws when the directory is missing or lies on a file system where WAL does not work.
  static func check(_ path: String) throws(SeamError) {
    let operation = "open \(path)"
    let directory = parent(of: path)
    switch FileCalls.isDirectory(directory) {
    case nil:
      throw SeamError(.unavailable, operation: operation, cause: "the directory \(directory) does not exist")
    case false?:
      throw SeamError(.unavailable, operation: operation, cause: "\(directory) is not a directory")
    case true?: break
    }
    if FileCalls.isDirectory(path) == true {
      throw SeamError(.unavailable, operation: operation, cause: "it is a directory, not a file")
    }
    // Asked beforehand: SQLite itself would say no more than "unable to open database file".
    for file in [directory, path] {
      if let refusal = FileCalls.writeRefusal(file) {
        throw SeamError(.forbidden, native: Int(refusal.code), operation: operation, cause: refusal.description)
      }
    }
    let type: UInt32
    do { type = try FileCalls.fileSystemType(of: directory) } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: operation, cause: error.description)
    }
    if let name = networkFileSystem(type) {
      throw SeamError(
        .unsupported, operation: operation,
        cause: "\(directory) is on \(name): SQLite's WAL needs memory shared by all its users, and corrupts there; "
          + "use a local disk, or a backend with a server")
    }
  }

  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The name of a file system that other machines may write to, nil for local ones. Numbers from statfs(2) and
  /// linux/magic.h; virtiofs calls itself FUSE.
  static func networkFileSystem(_ type: UInt32) -> String? {
    switch type {
    case 0x6969: "NFS"
    case 0x517B, 0xFF53_4D42, 0xFE53_4D42: "SMB"
    case 0x6573_5546: "FUSE or virtiofs"
    case 0x0102_1997: "9p"
    case 0x00C3_6400: "Ceph"
    case 0x5346_414F, 0x6B41_4653: "AFS"
    case 0x7375_7245: "Coda"
    case 0x0BD0_0BD0: "Lustre"
    case 0x0116_1970: "GFS2"
    case 0x7461_636F: "OCFS2"
    case 0x786F_4256: "a VirtualBox share"
    case 0xBACB_ACBC: "a VMware share"
    case 0x564C: "NCP"
    default: nil
    }
  }
}
