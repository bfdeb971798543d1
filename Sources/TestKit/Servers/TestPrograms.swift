import Glibc

/// Where the servers under test are installed.
public enum TestPrograms {
  /// The path of a program: in `PARLEY_TEST_SERVERS`, in `.build-servers` of the package, then of the system.
  public static func path(_ name: String) throws(ServerFailure) -> String {
    var folders: [String] = []
    if let named = Environment.value("PARLEY_TEST_SERVERS") { folders.append("\(named)/bin") }
    if let root = packageRoot { folders.append("\(root)/.build-servers/bin") }
    folders += ["/usr/bin", "/usr/sbin", "/usr/local/bin"]
    for folder in folders where unsafe access("\(folder)/\(name)", X_OK) == 0 { return "\(folder)/\(name)" }
    throw ServerFailure("\(name) is in none of \(folders.joined(separator: ", ")): run scripts/test-servers")
  }

  /// The nearest folder above the working directory, else above the executable, that has the servers.
  private static var packageRoot: String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let own = unsafe readlink("/proc/self/exe", &buffer, buffer.count - 1) > 0 ? text(buffer) : ""
    let working = unsafe getcwd(&buffer, buffer.count) == nil ? "" : text(buffer)
    for start in [working, own] {
      var folder = start[...]
      while let slash = folder.lastIndex(of: "/") {
        if unsafe access("\(folder)/.build-servers", X_OK) == 0 { return String(folder) }
        folder = folder[..<slash]
      }
    }
    return nil
  }

  private static func text(_ buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
