import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyCoordination

/// Folding a long log takes time in proportion to its length, and little of it.
@Suite(.serialized) struct FoldSpeedTests {
  private static let topic = Topic("~group.0123456789abcdef0123456789abcdef")

  private static func message(_ number: Int, _ text: EventText, by handle: String) -> Message {
    Message(
      topic: topic, sender: Handle(handle), content: text.content, timestamp: "", storedAt: Int64(number),
      id: MessageID("m\(number)"), cursor: Cursor("\(number)"), attributes: text.attributes)
  }

  private static func conversation(_ count: Int) -> [Message] {
    (0..<count).map { number in
      let handle = "h\(number % 500)"
      let event: ConversationEvent
      switch number {
      case 0: event = .create(name: "g", with: nil)
      case _ where number % 3 == 0: return message(number, ("hello", [:]), by: handle)
      case _ where number % 7 == 0: event = .leave
      default: event = .invite(Handle("h\(number * 31 % 900)"))
      }
      return message(number, event.message(by: Handle(handle)), by: handle)
    }
  }

  private static func own(_ count: Int) -> [Message] {
    (0..<count).map { number in
      let event: OwnEvent
      switch number % 4 {
      case 0: event = .invitation(ConversationTopic.group(random: (UInt64(number % 9_000), 1)), name: nil)
      case 1: event = .status("busy \(number)")
      case 2: event = .setting("s\(number % 300)", "v")
      default: event = .left(ConversationTopic.group(random: (UInt64(number % 800), 1)))
      }
      return message(number, event.message(by: Handle("me")), by: "me")
    }
  }

  private static func summaries(_ count: Int) -> [Message] {
    (0..<count).map { number in
      message(number, SummaryEvent.summary(scope: Handle("h\(number % 400)"), text: "text").message, by: "me")
    }
  }

  /// Beats of 500 processes, as a day of theirs leaves them.
  private static func presence(_ count: Int) -> [Message] {
    (0..<count).map { number in
      let record = PresenceRecord(
        phase: number < 500 ? .hello : .heartbeat, at: Int64(number), topics: ["general"], postTopics: [],
        instance: "i\(number % 500)")
      return message(number, (record.text, [:]), by: "h\(number % 500)")
    }
  }

  private static func marks(_ count: Int) -> [Message] {
    (0..<count).map { number in
      let mark = ReadMark(cursor: Cursor("\(number)"), storedAt: Int64(number))
      return message(number, ReadMarkEvent.mark(Topic("t\(number % 300)"), mark).message, by: "me")
    }
  }

  private static func time<State>(
    _ start: State, _ messages: [Message], _ apply: (inout State, Message) -> Void
  ) -> Duration {
    var state = start
    return processorTime { for message in messages { apply(&state, message) } }
  }

  private static func check<State>(
    _ start: State, _ make: (Int) -> [Message], _ location: SourceLocation = #_sourceLocation,
    apply: (inout State, Message) -> Void
  ) {
    let (short, long) = (make(10_000), make(100_000))
    let few = (0..<3).map { _ in time(start, short, apply) }.min() ?? .zero
    let many = (0..<2).map { _ in time(start, long, apply) }.min() ?? .zero
    #expect(many < few * 40, "\(few) and \(many)", sourceLocation: location)
    #if !DEBUG
      // The goal is half a second; only twice that fails, since other tests share the processor and its caches.
      #expect(many < .seconds(1), "\(many)", sourceLocation: location)
    #endif
  }

  private static func check<Fold: TopicFold>(
    _ fold: Fold, _ make: (Int) -> [Message], _ location: SourceLocation = #_sourceLocation
  ) {
    check(fold, make, location) { _ = $0.apply($1) }
  }

  @Test func conversations() { Self.check(ConversationFold(topic: Self.topic), Self.conversation) }
  @Test func theOwnTopic() { Self.check(OwnFold(owner: Handle("me")), Self.own) }
  @Test func summaries() { Self.check(SummaryFold(), Self.summaries) }
  @Test func presence() { Self.check(PresenceFold(), Self.presence) { $0.apply($1) } }
  @Test func readMarks() { Self.check(ReadMarkFold(owner: Handle("me")), Self.marks) { $0.apply($1) } }
}
