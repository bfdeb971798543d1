import ParleyRuntime
import ParleyTestKit
import Testing

/// What a run leaves for the next one, by real processes over a real store of each kind.
@Suite(.serialized) struct KeptStateTests {
  /// Says something else of the first task in the one file there is, and makes its sum right.
  private static let forgery = """
    import glob
    path, = glob.glob('.cache/parley/*/*.state')
    head, body = open(path, 'rb').read().split(b'\\n', 1)
    assert body.count(b'"task 0"') == 1
    body = body.replace(b'"task 0"', b'"forged"')
    total = 0xcbf29ce484222325
    for byte in body:
        total = ((total ^ byte) * 0x100000001b3) % 2 ** 64
    open(path, 'wb').write(b'parley-state 1 %x\\n' % total + body)
    """

  /// A start begins with the file, since what was changed there shows, and goes on with the log; it is one of this user
  /// alone, so that nobody else changes it.
  @Test(arguments: TaskStore.Kind.allCases) func aStartGoesOnFromTheLast(_ kind: TaskStore.Kind) throws {
    try Workplace.use { place in
      let store = try await TaskStore.start(kind)
      try place.write(
        "ada.yaml",
        """
        identity: { handle: ada }
        topics: [general]
        presence: { enabled: false }
        limits: { page_messages: 5 }
        \(store.lines)

        """)
      func list() async throws -> [String] {
        let run = try await place.run("task", "list", "--config", "ada.yaml", "general", "--json", "--patience", "25")
        #expect(run.status == 0, "\(run.errors)")
        return run.output.compactMap { (try? JSONValue(parsing: $0))?["title"]?.string }
      }
      func post(_ numbers: Range<Int>) async throws {
        let client = try Client(place, config: "ada.yaml")
        try await client.initialize()
        for number in numbers {
          let task: JSONValue = ["topic": "general", "title": .string("task \(number)")]
          #expect(await client.call(number + 1, "parley_task_post", task)?["isError"] == nil)
        }
        client.process.kill(9)
      }
      try await post(0..<7)
      let titles = (0..<7).map { "task \($0)" }
      #expect(try await list() == titles)
      let forger = try ChildProcess(
        loop: place.loop, path: "/usr/bin/python3", arguments: ["-c", Self.forgery], environment: place.environment,
        directory: place.folder.path)
      #expect(await forger.waitForExit(until: place.soon) == .status(0), "\(forger.errorLines)")
      #expect(try await list() == ["forged"] + titles.dropFirst())
      try await post(7..<9)
      #expect(try await list() == ["forged"] + titles.dropFirst() + ["task 7", "task 8"])
    }
  }
}
