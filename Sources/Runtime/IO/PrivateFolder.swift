import Glibc

/// Folders that are this user's alone. Making them blocks for as long as the file system does.
public enum PrivateFolder {
  /// Makes a folder, and those above it that are missing, with mode 0700; one that is there stays as it is.
  public static func make(_ path: String) throws(SystemError) {
    if unsafe mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let parent = parent(of: path) else { throw .last("mkdir \(path)") }
    try make(parent)
    guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else { throw .last("mkdir \(path)") }
  }

  /// Makes the folder in which a file shall be.
  public static func make(of file: String) throws(SystemError) {
    if let folder = parent(of: file) { try make(folder) }
  }

  /// Nil where that is the root or the working directory.
  private static func parent(of path: String) -> String? {
    guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return nil }
    return String(path[..<slash])
  }
}
