import Glibc
import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyFileLog

/// The whole suite over real files; two backends on one directory are two processes to it.
@Suite struct FileLogConformanceTests {
  private static func store(on loop: EventLoop) throws -> ConformanceStore {
    let folder = try TemporaryDirectory()
    var store = ConformanceStore {
      FileLogBackend(loop: loop, options: FileLogOptions(directory: folder.path))
    }
    store.deleteTopic = { unlink(folder.path(LogKeeper.fileName(of: $0))) }
    store.trim = { topic, count in try trim(folder.path(LogKeeper.fileName(of: topic)), keeping: count) }
    return store
  }

  /// What an administrator does: a new file with the newest lines, under a header that says what the first one is.
  private static func trim(_ path: String, keeping count: Int) throws {
    let lines = try #require(TextFile.read(path)).split(separator: "\n")
    var header = try #require(StoredLine.Header(Array(lines[0].utf8)))
    header.first += max(0, lines.count - 1 - count)
    let kept = lines.dropFirst().suffix(count).map { $0 + "\n" }.joined()
    try TextFile.write(String(decoding: header.bytes, as: UTF8.self) + kept, to: path + ".new")
    try SystemError.check("rename", rename(path + ".new", path))
  }

  @Test(arguments: ConformanceSuite.cases) func holds(_ conformanceCase: ConformanceCase) async throws {
    let outcome = try await ConformanceSuite { try Self.store(on: $0) }.run(conformanceCase)
    // A directory has no server that could restart and no connection that could be cut.
    if case .notApplicable(let reason) = outcome {
      #expect(["no restart hook", "no cut hook"].contains(reason), "\(conformanceCase): \(reason)")
    }
  }
}
