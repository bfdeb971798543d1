import ArgumentParser
import ParleyCoordination
import ParleyMCP
import ParleyRuntime

/// `parley handoff`: writes a summary down, or prints where things stand.
struct HandOffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "handoff", abstract: "Print where a topic stands, or write a summary down for whoever comes next.",
    discussion: "The text of --write is the rest of the command line, or standard input where it is \"-\" or absent.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topic (default: the first one).")
  var topic: String?

  @Argument(help: "With --write: the summary.")
  var text: [String] = []

  @Flag(help: "Write a summary.")
  var write = false

  @Option(help: "With --write: the one handle that it is for (default: all).")
  var scope: String?

  @Option(help: "At most this many of the last messages.")
  var limit = 10

  @Option(name: .customLong("max-bytes"), help: "With --json: how long the result may be.")
  var maxBytes = OrientationText.defaultBytes

  func validate() throws {
    guard (1...1_000).contains(limit) else { throw ValidationError("--limit must be 1 to 1000.") }
    guard maxBytes > 0 else { throw ValidationError("--max-bytes must be at least 1.") }
    guard write || (text.isEmpty && scope == nil) else { throw ValidationError("A text and --scope go with --write.") }
    guard !write || topic != nil else { throw ValidationError("--write needs the topic.") }
  }

  func run() throws {
    let loaded = try Launch.load(session.shared)
    let summary = write ? try StandardInput.text(text) : nil
    let (named, limit, maxBytes) = (topic.map { Topic($0) }, limit, maxBytes)
    let scope = scope.flatMap { $0 == "all" ? nil : Handle($0) }
    try session.run(loaded) { room in
      guard let topic = named ?? room.hub.setup.topics.first else { return }
      let coordination = Coordination(hub: room.hub)
      let result: Result<Void, any Error>
      do {
        if let summary {
          let receipt = try await coordination.summaries.write(summary, scope: scope, on: topic)
          room.output.line(receipt.id.text)
          room.output.object { $0.member("backendMsgId", receipt.id.text) }
        } else {
          try await coordination.marks.load()
          let orientation = try await coordination.orientation(on: topic, limit: limit, in: room.hub)
          room.output.orientation(orientation, bytes: maxBytes)
        }
        result = .success(())
      } catch {
        result = .failure(error)
      }
      await coordination.stop()
      try result.get()
    }
  }
}

extension Output {
  fileprivate func orientation(_ orientation: Orientation, bytes: Int) {
    object { writer in
      writer.member("topic", orientation.topic.name)
      OrientationText(orientation, bytes: bytes).write(into: &writer)
    }
    func visible(_ text: String) -> String { VisibleText.visible(text, keepsLines: false) }
    let here = orientation.here.map { visible($0.handle.name) }.joined(separator: ", ")
    line("\(visible(orientation.topic.name)): \(here.isEmpty ? "nobody else is here" : "here are \(here)")")
    if let mark = orientation.mark { line("read up to \(mark.text)") }
    if let summary = orientation.summary {
      let text = VisibleText.visible(summary.text).replacing("\n", with: "\n    ")
      line("summary of \(visible(summary.by.name)), \(Timestamp.text(summary.at)):\n    \(text)")
    }
    if !isJSON {
      for task in orientation.tasks { self.task(task, at: orientation.now) }
      for message in orientation.messages { self.message(message) }
    }
  }
}
