import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleySQLite

/// The whole suite over real files; two backends on one file are two processes to it.
@Suite struct SQLiteConformanceTests {
  private static func store(on loop: EventLoop) throws -> ConformanceStore {
    let folder = try TestFolder()
    var store = ConformanceStore { SQLiteBackend(loop: loop, options: folder.options) }
    store.trim = { topic, count in
      try OtherProgram(folder.database).run(
        """
        DELETE FROM messages WHERE topic = '\(topic.name)' AND id NOT IN
          (SELECT id FROM messages WHERE topic = '\(topic.name)' ORDER BY id DESC LIMIT \(count))
        """)
    }
    store.deleteTopic = { topic in
      try OtherProgram(folder.database).run("DELETE FROM messages WHERE topic = '\(topic.name)'")
    }
    return store
  }

  @Test(arguments: ConformanceSuite.cases) func holds(_ conformanceCase: ConformanceCase) async throws {
    let outcome = try await ConformanceSuite { try Self.store(on: $0) }.run(conformanceCase)
    // A file has no server that could restart, no connection that could be cut, and no limit below configuration's.
    if case .notApplicable(let reason) = outcome {
      let expected = ["no restart hook", "no cut hook", "the backend states no limit"]
      #expect(expected.contains(reason), "\(conformanceCase): \(reason)")
    }
  }
}
