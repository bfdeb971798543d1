import ParleyRuntime

/// Where a reader stands: after a sequence number of a stream's incarnation.
struct LogPlace: Hashable, Sendable {
  /// The incarnation, by its creation time; nil when the cursor does not say.
  var generation: String?
  /// Everything up to this sequence number was read; 0 is before the first.
  var sequence: UInt64

  /// The generation of a topic that has no stream yet.
  static let unborn = "new"

  init(generation: String?, sequence: UInt64) {
    self.generation = generation
    self.sequence = sequence
  }

  /// Judges a caller's cursor. Throws `cursorInvalid` when it is malformed or another backend's.
  init(_ cursor: Cursor) throws(SeamError) {
    let parts = try cursor.parts(for: "nats")
    let digits = parts.native.utf8
    guard !digits.isEmpty, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = UInt64(parts.native),
      number < UInt64(Int64.max), parts.generation?.isEmpty != true
    else {
      throw SeamError(
        .cursorInvalid, operation: "read cursor",
        cause: "cursor '\(cursor)' does not end in a sequence number of a NATS stream")
    }
    self.init(generation: parts.generation, sequence: number)
  }

  /// The place after a message of an incarnation.
  static func cursor(_ generation: String, _ sequence: UInt64) -> Cursor {
    cursor(generation, number: String(sequence))
  }

  /// The same where the number's text is at hand.
  static func cursor(_ generation: String, number: String) -> Cursor {
    Cursor(backend: "nats", generation: generation, native: number)
  }

  /// The place as text; a bare one belongs to the incarnation that is there.
  func cursor(in stream: StreamFacts?) -> Cursor {
    Self.cursor(generation ?? stream?.generation ?? Self.unborn, sequence)
  }
}

/// What a place means in the stream as it is now.
struct ResolvedPlace: Hashable, Sendable {
  /// The first sequence number to read.
  var start: UInt64
  /// What may be missing before it; nil where nothing can be.
  var loss: Loss?

  /// Why something is, or may be, missing.
  struct Loss: Hashable, Sendable {
    let reason: String
    let isCertain: Bool
  }

  /// Compares the place with the stream's incarnation and its first and last message.
  init(_ place: LogPlace, in stream: StreamFacts) {
    let oldest = stream.first
    switch place.generation {
    case nil, stream.generation, LogPlace.unborn:
      if place.sequence > stream.last {
        start = oldest
        loss = Loss(
          reason: "the stream was rolled back: it ends at \(stream.last), before this place (\(place.sequence))",
          isCertain: true)
      } else if place.sequence + 1 < oldest {
        start = oldest
        loss = Loss(reason: "messages up to \(oldest - 1) have left the stream", isCertain: true)
      } else {
        start = place.sequence + 1
      }
    default:
      start = oldest
      loss = Loss(reason: "the stream was made anew since", isCertain: false)
    }
  }

  /// The stream ends before the place: rolled back, or asked too soon after a change of its leader.
  static func isBehind(_ place: LogPlace, in stream: StreamFacts) -> Bool {
    place.generation != nil && place.generation == stream.generation && place.sequence > stream.last
  }

  /// The gap before the start, as a reader that stood at `cursor` is told it.
  func gap(_ topic: Topic, from cursor: Cursor, in stream: StreamFacts) -> Gap? {
    loss.map { loss in
      Gap(
        topic: topic, from: cursor, to: LogPlace.cursor(stream.generation, start - 1), reason: loss.reason,
        isCertain: loss.isCertain)
    }
  }
}
