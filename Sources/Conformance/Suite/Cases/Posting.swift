import ParleyRuntime

extension ConformanceSuite {
  /// S1 and S11: what an acknowledgement means.
  static let posting: [ConformanceCase] = [
    ConformanceCase("S1", "an acknowledged post is readable by another process at once, as acknowledged") { context in
      let writer = try await context.connect()
      let reader = try await context.connect()
      let receipt = try await context.post(["stored"], to: writer)[0]
      let page = try await context.fetch(from: reader)
      try context.expectEqual(page.messages.map(\.id), [receipt.id], "ids")
      try context.expectEqual(page.messages.map(\.cursor), [receipt.cursor], "cursors")
      if let storedAt = receipt.storedAt {
        try context.expectEqual(page.messages.map(\.storedAt), [storedAt], "storedAt")
      }
      try context.expect(!receipt.isDuplicate, "a first post is no duplicate")
    },
    ConformanceCase("S1", "an acknowledged post survives the session") { context in
      let backend = try await context.connect()
      let receipt = try await context.post(["kept"], to: backend)[0]
      await backend.disconnect()
      try await backend.connect { _ in }
      let page = try await context.fetch(from: backend)
      try context.expectEqual(page.messages.map(\.id), [receipt.id], "ids after connecting again")
    },
    ConformanceCase("S1", "an acknowledged post survives a restart of the server") { context in
      guard let restart = context.store.restart else { throw NotApplicable("no restart hook") }
      let supervisor = try await context.supervise()
      let receipt = try await supervisor.post(context.draft("kept"), deadline: context.deadline)
      try await restart()
      let page = try await supervisor.fetch(FetchRequest(context.topic), deadline: context.deadline)
      try context.expectEqual(page.messages.map(\.id), [receipt.id], "ids after the restart")
    },
    ConformanceCase("S1", "storedAt grows with the log") { context in
      let first = try await context.connect()
      let second = try await context.connect()
      for number in 0..<10 { try await context.post(["\(number)"], to: number % 2 == 0 ? first : second) }
      let stamps = try await context.fetch(from: first).messages.map(\.storedAt)
      try context.expectEqual(stamps, stamps.sorted(), "storedAt in log order")
      try context.expect(stamps.allSatisfy { $0 > 1_600_000_000_000 }, "storedAt in milliseconds since 1970: \(stamps)")
    },
    ConformanceCase("S1", "timestamps are ISO 8601 in UTC with milliseconds") { context in
      let backend = try await context.connect()
      try await context.post(["when"], to: backend)
      let stamp = try await context.messages(1, from: backend)[0].timestamp
      let shape = stamp.map { $0.isASCII && $0.isNumber ? "0" : $0 }
      try context.expectEqual(String(shape), "0000-00-00T00:00:00.000Z", "shape of \(stamp)")
    },
    ConformanceCase("S11", "four writers and four readers agree on one log") { context in
      let writers = ["w0", "w1", "w2", "w3"]
      var backends: [any Backend] = []
      for _ in writers { backends.append(try await context.connect()) }
      let start = try await context.end(from: backends[0])
      var recorders: [DeliveryRecorder] = []
      for backend in backends { recorders.append(try await context.subscribe(after: start, on: backend).recorder) }
      let count = context.capabilities.postsPerWriter
      let deadline = context.deadline
      var acknowledged: [[(Draft, Receipt)]] = []
      try await withThrowingTaskGroup(of: (Int, [(Draft, Receipt)]).self) { group in
        for (index, writer) in writers.enumerated() {
          let drafts = (0..<count).map { context.draft("\(writer) says \($0)", by: writer) }
          let backend = backends[index]
          group.addTask {
            var done: [(Draft, Receipt)] = []
            for draft in drafts { done.append((draft, try await backend.post(draft, deadline: deadline))) }
            return (index, done)
          }
        }
        for try await (_, done) in group { acknowledged.append(done) }
      }
      for recorder in recorders { try await context.wait(for: writers.count * count, in: recorder) }
      var checker = HistoryChecker()
      for (draft, receipt) in acknowledged.joined() {
        let post = checker.attempt(writer: draft.author.handle.name, key: draft.key.text, content: draft.content)
        checker.acknowledge(post, id: receipt.id)
      }
      for (index, recorder) in recorders.enumerated() {
        let reader = checker.addReader("reader \(index)")
        for delivery in recorder.deliveries { checker.deliver(delivery, to: reader) }
        checker.expectComplete(reader)
      }
      let log = try await context.readAll(after: start, pageSize: 7, from: backends[3])
      let verdict = checker.verdict(log: log.map { HistoryChecker.Entry(id: $0.id, content: $0.content) })
      try context.expect(verdict.isClean, "\(verdict)")
      try context.expectEqual(log.count, writers.count * count, "messages in the log")
      try context.expectEqual(Set(log.map(\.cursor)).count, log.count, "distinct cursors")
      let middle = log.count / 2
      let rest = try await context.fetch(.after(log[middle].cursor), from: backends[1])
      try context.expectEqual(rest.messages, Array(log[(middle + 1)...]), "what follows the middle cursor")
    },
  ]

  /// S2: one key, one message.
  static let keys: [ConformanceCase] = [
    ConformanceCase("S2", "the same key with the same content is one message, also from another process") { context in
      let first = try await context.connect()
      let second = try await context.connect()
      let draft = context.draft("once", key: .chosen("build-7"))
      let receipt = try await first.post(draft, deadline: context.deadline)
      for backend in [first, second] {
        let again = try await backend.post(draft, deadline: context.deadline)
        try context.expectEqual(again.id, receipt.id, "the id of the repeated post")
        try context.expectEqual(again.cursor, receipt.cursor, "the cursor of the repeated post")
        try context.expect(again.isDuplicate, "a repeated post says so")
      }
      try context.expectEqual(try await context.fetch(from: second).messages.map(\.id), [receipt.id], "the log")
    },
    ConformanceCase("S2", "the same key with other content is keyReused and stores nothing") { context in
      let backend = try await context.connect()
      var draft = context.draft("once", key: .chosen("k"))
      _ = try await backend.post(draft, deadline: context.deadline)
      draft.content = "other"
      let (other, deadline) = (draft, context.deadline)
      try await context.expectError("keyReused", during: "post with a used key") {
        _ = try await backend.post(other, deadline: deadline)
      }
      draft.content = "once"
      draft.attributes = ["kind": "other"]
      let attributed = draft
      try await context.expectError("keyReused", during: "post with a used key and other attributes") {
        _ = try await backend.post(attributed, deadline: deadline)
      }
      try context.expectEqual(try await context.fetch(from: backend).messages.map(\.content), ["once"], "the log")
    },
    ConformanceCase("S2", "a key is scoped to topic and author") { context in
      let backend = try await context.connect()
      let key = DraftKey.chosen("shared")
      let drafts = [
        context.draft("ada's", key: key), context.draft("bob's", by: "bob", key: key),
        context.draft("elsewhere", on: context.topic("other"), key: key),
      ]
      if await backend.traits.authenticatesSenders { throw NotApplicable("handles of one account share its keys") }
      for draft in drafts {
        let receipt = try await backend.post(draft, deadline: context.deadline)
        try context.expect(!receipt.isDuplicate, "'\(draft.content)' is a message of its own")
      }
      try context.expectEqual(try await context.fetch(from: backend).messages.count, 2, "messages on the topic")
    },
    ConformanceCase("S2", "concurrent posts of one key from several processes are one message") { context in
      var backends: [any Backend] = []
      for _ in 0..<4 { backends.append(try await context.connect()) }
      let draft = context.draft("once", key: .chosen("race"))
      let deadline = context.deadline
      var ids: Set<MessageID> = []
      try await withThrowingTaskGroup(of: MessageID.self) { group in
        for backend in backends + backends {
          group.addTask { try await backend.post(draft, deadline: deadline).id }
        }
        for try await id in group { ids.insert(id) }
      }
      let log = try await context.fetch(from: backends[0]).messages
      try context.expectEqual(log.map(\.content), ["once"], "the log")
      try context.expectEqual(ids, Set(log.map(\.id)), "the ids that the posts were told")
    },
    ConformanceCase("S2", "a key of 255 bytes is kept whole, an empty or longer one is refused") { context in
      let backend = try await context.connect()
      let stem = String(repeating: "k", count: 254)
      let deadline = context.deadline
      _ = try await backend.post(context.draft("a", key: .chosen(stem + "a")), deadline: deadline)
      let other = try await backend.post(context.draft("b", key: .chosen(stem + "b")), deadline: deadline)
      try context.expect(!other.isDuplicate, "keys that differ in the last byte are two")
      for text in ["", stem + "ab"] {
        let draft = context.draft("c", key: .chosen(text))
        try await context.expectError(
          "invalidRequest", "tooLarge", during: "post with a key of \(text.utf8.count) bytes"
        ) {
          _ = try await backend.post(draft, deadline: deadline)
        }
      }
    },
  ]
}
