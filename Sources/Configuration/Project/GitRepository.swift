import ParleyRuntime

/// The git repository that a path lies in, found by reading its files; git itself is never run.
struct GitRepository {
  /// The folder that holds `.git`.
  let workTree: String
  /// Where this work tree's index lies.
  let gitDirectory: String
  /// Shared by all work trees of the repository (gitrepository-layout(5), `commondir`); elsewhere the git directory.
  let commonDirectory: String

  /// The innermost repository around a directory.
  init?(enclosing directory: String) {
    var folder = Path.normalised(directory)
    while true {
      let git = Path.join(folder, ".git")
      if let status = FileSystem.status(git) {
        if status.isDirectory {
          (workTree, gitDirectory, commonDirectory) = (folder, git, git)
          return
        }
        // A work tree and a submodule have a file that points to their git directory.
        if let target = Self.line(git, prefix: "gitdir: ") {
          workTree = folder
          gitDirectory = Path.normalised(Path.join(folder, target))
          let common = Self.line(Path.join(gitDirectory, "commondir"), prefix: "")
          commonDirectory = common.map { [gitDirectory] in Path.normalised(Path.join(gitDirectory, $0)) } ?? gitDirectory
          return
        }
      }
      if folder == "/" { return nil }
      folder = Path.parent(folder)
    }
  }

  /// The folder that stands for the repository, the same from each of its work trees.
  var root: String {
    guard commonDirectory != gitDirectory else { return workTree }
    return Path.name(commonDirectory) == ".git" ? Path.parent(commonDirectory) : commonDirectory
  }

  /// Whether git's index holds the file. False where the index cannot be read.
  func tracks(_ path: String) -> Bool {
    let path = Path.normalised(path)
    let prefix = workTree == "/" ? "/" : workTree + "/"
    guard path.hasPrefix(prefix), let bytes = Self.read(Path.join(gitDirectory, "index"), GitIndex.byteLimit) else {
      return false
    }
    let configuration = Self.read(Path.join(commonDirectory, "config"), 64 * 1024) ?? []
    let usesSHA256 = String(decoding: configuration, as: UTF8.self).lowercased().filter { $0 != " " && $0 != "\t" }
      .contains("objectformat=sha256")
    return GitIndex(bytes, hashLength: usesSHA256 ? 32 : 20).contains(path.dropFirst(prefix.count))
  }

  private static func line(_ path: String, prefix: String) -> String? {
    guard let bytes = read(path, 4_096) else { return nil }
    let text = String(decoding: bytes, as: UTF8.self)
    guard text.hasPrefix(prefix) else { return nil }
    return text.dropFirst(prefix.count).split(separator: "\n").first.map(String.init)
  }

  private static func read(_ path: String, _ limit: Int) -> [UInt8]? {
    do throws(SystemError) {
      let bytes = try FileSystem.read(path, limit: limit)
      return bytes.count <= limit ? bytes : nil
    } catch {
      return nil
    }
  }
}

/// The names in git's index file, versions 2 to 4 (gitformat-index(5)).
struct GitIndex {
  /// The largest index that is read.
  static let byteLimit = 64 << 20

  private let bytes: [UInt8]
  private let hashLength: Int

  init(_ bytes: [UInt8], hashLength: Int = 20) {
    self.bytes = bytes
    self.hashLength = hashLength
  }

  /// Whether a path, from the work tree's root, is in the index. False where the file is damaged before it.
  func contains(_ path: some StringProtocol) -> Bool {
    let wanted = Array(path.utf8)
    guard bytes.count >= 12, bytes.starts(with: "DIRC".utf8), (2...4).contains(word(4)) else { return false }
    let version = word(4)
    var offset = 12
    var name: [UInt8] = []
    for _ in 0..<word(8) {
      let start = offset
      // Ten words of file status, the object's hash, two bytes of flags, of which 0x4000 announces two more.
      offset += 40 + hashLength
      guard offset + 2 < bytes.count else { return false }
      offset += bytes[offset] & 0x40 != 0 && version >= 3 ? 4 : 2
      if version == 4 {
        guard let dropped = offsetVarint(&offset), dropped <= name.count else { return false }
        name.removeLast(dropped)
      } else {
        name.removeAll(keepingCapacity: true)
      }
      guard offset < bytes.count, let end = bytes[offset...].firstIndex(of: 0) else { return false }
      name += bytes[offset..<end]
      if name == wanted { return true }
      // Before version 4, one to eight zero bytes bring an entry to a multiple of eight.
      offset = version == 4 ? end + 1 : start + (end - start + 8) / 8 * 8
    }
    return false
  }

  private func word(_ offset: Int) -> Int { bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) } }

  /// The "offset encoding" of pack files: seven bits a byte, plus one for each continuation.
  private func offsetVarint(_ offset: inout Int) -> Int? {
    var value = 0
    for position in 0..<5 {
      guard offset < bytes.count else { return nil }
      let byte = bytes[offset]
      offset += 1
      value = (position == 0 ? 0 : (value + 1) << 7) | Int(byte & 0x7F)
      if byte & 0x80 == 0 { return value }
    }
    return nil
  }
}
