import ParleyRuntime

extension ConformanceSuite {
  /// Texts that some part of some backend has been known to change.
  private static let awkwardTexts = [
    "", " ", "\n", "  leading and trailing  ", "line\nbreak\r\nand\ttab", "quote ' and \" and \\ and `",
    "control \u{1}\u{8}\u{b}\u{1f}\u{7f}\u{85}", "emoji 👩‍👩‍👧‍👦 🇩🇪 and e\u{301} and é",
    "\u{2028}\u{2029}\u{feff}\u{200b}\u{202e}",
    "<message to='x'>&amp;]]></message>", "{\"json\": [1, 2]}", "$1 %s %00 \\u0000", "\u{fffd}\u{ffff}\u{10ffff}",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 שלום مرحبا 你好", "/me waves", "[ada] not a prefix",
  ]

  /// S8: what comes back is what went in.
  static let roundTrips: [ConformanceCase] = [
    ConformanceCase("S8", "awkward texts come back byte for byte") { context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      let (recorder, _) = try await context.subscribe(after: start, on: backend)
      try await context.post(awkwardTexts, to: backend)
      let found = try await context.readAll(after: start, from: backend).map(\.content)
      try context.expectEqual(found.map { Array($0.utf8) }, awkwardTexts.map { Array($0.utf8) }, "texts by fetch")
      try await context.wait(for: awkwardTexts.count, in: recorder)
      let pushed = recorder.messages.map(\.content)
      try context.expectEqual(pushed.map { Array($0.utf8) }, awkwardTexts.map { Array($0.utf8) }, "texts by push")
    },
    ConformanceCase("S8", "awkward topic names are topics of their own") { context in
      let backend = try await context.connect()
      let stem = context.topic.name
      let names =
        [
          "a b", "a_b", "A_B", "a.b", "a/b", "a*b", "a>b", "a:b", "#ab:c", "a\u{301}", "á", "🦜", "a\u{2028}b",
          "a\u{1}b",
        ]
        .map { stem + $0 } + ["@" + stem, "~" + stem, String((stem + String(repeating: "ü", count: 128)).prefix(130))]
      for name in names { try await context.post(["on \(name)"], to: backend, on: Topic(name)) }
      for name in names {
        let messages = try await context.fetch(of: Topic(name), from: backend).messages
        try context.expectEqual(messages.map(\.content), ["on \(name)"], "messages on '\(name)'")
        try context.expectEqual(messages.map { Array($0.topic.name.utf8) }, [Array(name.utf8)], "the topic's name")
      }
    },
    ConformanceCase("S8", "names of 255 bytes that differ in the last one are two topics") { context in
      let backend = try await context.connect()
      let stem = context.topic.name + String(repeating: "n", count: 254 - context.topic.name.utf8.count)
      for last in ["a", "b"] { try await context.post([last], to: backend, on: Topic(stem + last)) }
      for last in ["a", "b"] {
        let found = try await context.fetch(of: Topic(stem + last), from: backend).messages.map(\.content)
        try context.expectEqual(found, [last], "the topic that ends with \(last)")
      }
    },
    ConformanceCase("S8", "a large text comes back whole, by fetch and by push") { context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      let (recorder, _) = try await context.subscribe(after: start, on: backend)
      let pattern = "0123456789 äöü 🦜\n"
      let count = context.capabilities.largeContent / pattern.utf8.count
      let text = String(repeating: pattern, count: count)
      try await context.post([text], to: backend)
      try await context.wait(for: 1, in: recorder)
      try context.expect(
        try await context.fetch(from: backend).messages.map(\.content) == [text], "fetched text differs")
      try context.expect(recorder.messages.map(\.content) == [text], "pushed text differs")
    },
    ConformanceCase("S8", "a text over the backend's limit is tooLarge with that limit, and not stored") { context in
      let backend = try await context.connect()
      guard let limit = await backend.traits.contentLimit else { throw NotApplicable("the backend states no limit") }
      guard limit <= 64 << 20 else { throw NotApplicable("the limit of \(limit) bytes is too far for a test") }
      let draft = context.draft(String(repeating: "x", count: limit + 1))
      let deadline = context.deadline
      let error = try await context.expectError("tooLarge", during: "post of \(limit + 1) bytes") {
        _ = try await backend.post(draft, deadline: deadline)
      }
      try context.expectEqual(error.code, .tooLarge(limit: limit), "the error's limit")
      try context.expect(try await context.fetch(from: backend).messages.isEmpty, "it was stored")
    },
    ConformanceCase("S8", "inReplyTo, to and attributes come back exactly") { context in
      let backend = try await context.connect()
      let question = try await context.post(["?"], to: backend)[0]
      var draft = context.draft("!", by: "bob.b-b_2")
      draft.inReplyTo = question.id
      draft.to = Handle("ädä 🦜")
      draft.attributes = [
        "kind": "note", "empty": "", "key with = & and space": "a=b&c\nd", "ünï": "🦜\u{2028}", "n": "1.0",
        "x.y": "null",
        "long": String(repeating: "v", count: 3_500),
      ]
      _ = try await backend.post(draft, deadline: context.deadline)
      let found = try await context.messages(1, .after(question.cursor), from: backend)[0]
      try context.expectEqual(found.inReplyTo, question.id, "inReplyTo")
      try context.expectEqual(found.to, draft.to, "to")
      try context.expectEqual(found.attributes, draft.attributes, "attributes")
      try context.expectEqual(found.sender, draft.author.handle, "sender")
      try context.expectEqual(found.instance, draft.author.instance, "instance")
      let plain = try await context.messages(1, .before(found.cursor), from: backend)[0]
      try context.expect(
        plain.inReplyTo == nil && plain.to == nil && plain.attributes.isEmpty, "a plain post has none: \(plain)")
    },
    ConformanceCase("S8", "NUL is refused wherever text can stand") { context in
      let backend = try await context.connect()
      let deadline = context.deadline
      func draft(_ change: (inout Draft) -> Void) -> Draft {
        var draft = context.draft("fine")
        change(&draft)
        return draft
      }
      let drafts: [(String, Draft)] = [
        ("content", draft { $0.content = "a\0b" }), ("topic", draft { $0.topic = Topic(context.topic.name + "\0") }),
        ("attribute value", draft { $0.attributes = ["a": "\0"] }),
        ("attribute name", draft { $0.attributes = ["\0": "a"] }), ("to", draft { $0.to = Handle("a\0") }),
        ("key", draft { $0.key = .chosen("a\0") }), ("inReplyTo", draft { $0.inReplyTo = MessageID("\0") }),
      ]
      for (place, draft) in drafts {
        try await context.expectError("invalidRequest", during: "post with NUL in \(place)") {
          _ = try await backend.post(draft, deadline: deadline)
        }
      }
      try context.expect(try await context.fetch(from: backend).messages.isEmpty, "something was stored")
    },
  ]
}
