import ParleyRuntime

extension HistoryChecker {
  /// Judges the history against the log as it was read at the end from the oldest entry, with what is known to have been
  /// removed at its place. Takes time linear in events and entries, plus sorting each writer's posts.
  public func verdict(log entries: [Entry]) -> Verdict {
    var judge = Judge(history: self, entries: entries)
    judge.judgeLog()
    judge.judgePosts()
    judge.judgeWriterOrder()
    for reader in readers { judge.judge(reader) }
    return judge.verdict
  }
}

/// One judgement; everything is an index into tables of the history.
private struct Judge {
  let history: HistoryChecker
  var ids: Interner<MessageID>
  var contents: Interner<String>
  var isRemoved: [Bool] = []
  var contentAt: [Int] = []
  var idAt: [Int] = []
  /// By id: its place in the log, or -1.
  var place: [Int]
  /// By content: whether it was attempted, and its last place in the log, or -1.
  var isAttempted: [Bool]
  var lastPlaceOfContent: [Int]
  var verdict = Verdict()

  init(history: HistoryChecker, entries: [HistoryChecker.Entry]) {
    self.history = history
    ids = history.ids
    contents = history.contents
    for entry in entries {
      idAt.append(ids.number(of: entry.id))
      contentAt.append(contents.number(of: entry.content))
      isRemoved.append(entry.isRemoved)
    }
    place = Array(repeating: -1, count: ids.count)
    isAttempted = Array(repeating: false, count: contents.count)
    lastPlaceOfContent = Array(repeating: -1, count: contents.count)
    for post in history.posts { isAttempted[post.content] = true }
    verdict.unknownAsSuccess = history.earlyOffences
    verdict.readers = history.readers.count
  }

  mutating func judgeLog() {
    for index in idAt.indices {
      let content = contentAt[index]
      if isRemoved[index] { verdict.removed += 1 } else { verdict.present += 1 }
      if place[idAt[index]] >= 0 {
        verdict.duplicated.append("the log has id \(name(idAt[index])) twice")
      } else {
        place[idAt[index]] = index
      }
      if !isAttempted[content] {
        verdict.phantoms.append("the log has \(name(idAt[index])) '\(excerpt(content))', which nobody posted")
      }
      let earlier = lastPlaceOfContent[content]
      if earlier >= 0, !isRemoved[index], !isRemoved[earlier] {
        verdict.duplicated.append(
          "the log has '\(excerpt(content))' as \(name(idAt[earlier])) and as \(name(idAt[index]))")
      }
      lastPlaceOfContent[content] = index
    }
  }

  mutating func judgePosts() {
    verdict.attempted = history.posts.count
    for (number, post) in history.posts.enumerated() {
      switch post.outcome {
      case .acknowledged(let id):
        verdict.acknowledged += 1
        if place[id] < 0 {
          verdict.lost.append("\(history.label(number)), acknowledged as \(name(id))")
        } else if contentAt[place[id]] != post.content {
          verdict.lost.append(
            "\(history.label(number)), acknowledged as \(name(id)), which is '\(excerpt(contentAt[place[id]]))'")
        }
      case .failed:
        verdict.failed += 1
        let stored = lastPlaceOfContent[post.content]
        if stored >= 0 {
          verdict.falseFailures.append("\(history.label(number)), in the log as \(name(idAt[stored]))")
        }
      case .unknown, .open: verdict.unknown += 1
      }
    }
  }

  /// What a writer had acknowledged before it attempted the next post stands before that in the log.
  mutating func judgeWriterOrder() {
    var ofWriter: [String: [Int]] = [:]
    for (number, post) in history.posts.enumerated() {
      if case .acknowledged(let id) = post.outcome, place[id] >= 0 { ofWriter[post.writer, default: []].append(number) }
    }
    for writer in ofWriter.keys.sorted() {
      let attempts = ofWriter[writer] ?? []
      let acknowledgements = attempts.sorted { history.posts[$0].acknowledgedAt < history.posts[$1].acknowledgedAt }
      var next = acknowledgements.startIndex
      var highest = -1
      for number in attempts {
        let attemptedAt = history.posts[number].attemptedAt
        while next < acknowledgements.endIndex,
          history.posts[acknowledgements[next]].acknowledgedAt < attemptedAt
        {
          highest = max(highest, placeOfAcknowledged(acknowledgements[next]))
          next += 1
        }
        if placeOfAcknowledged(number) < highest {
          verdict.outOfOrder.append("\(history.label(number)) stands before one acknowledged earlier")
        }
      }
    }
  }

  mutating func judge(_ reader: HistoryChecker.ReaderRecord) {
    var expected = reader.after.map { place[$0] + 1 } ?? 0
    var isGapTold = false
    var gaps = 0
    // By content: where this reader saw it last, and how many gaps it had been told by then.
    var seen = [(place: Int32, gaps: Int32)](repeating: (-1, 0), count: contents.count)
    for event in reader.events {
      guard let event else {
        verdict.gapsTold += 1
        gaps += 1
        isGapTold = true
        continue
      }
      verdict.delivered += 1
      let index = place[event.id]
      guard index >= 0, contentAt[index] == event.content else {
        let why = index < 0 ? "is not in the log" : "has another text in the log"
        verdict.phantoms.append("\(reader.name) got \(name(event.id)) '\(excerpt(event.content))', which \(why)")
        continue
      }
      let earlier = seen[event.content]
      seen[event.content] = (Int32(index), Int32(gaps))
      if earlier.place >= 0 {
        // A copy that was lost with the tail and told so may be followed by the retry's copy.
        let isRestored = Int(earlier.place) != index && isRemoved[Int(earlier.place)] && Int(earlier.gaps) < gaps
        if !isRestored {
          verdict.duplicated.append("\(reader.name) got '\(excerpt(event.content))' twice, again as \(name(event.id))")
          continue
        }
      }
      if index < expected {
        verdict.outOfOrder.append("\(reader.name) got \(name(event.id)) after \(name(idAt[expected - 1]))")
        continue
      }
      if index > expected, !isGapTold { tellSkipped(reader.name, expected..<index) }
      expected = index + 1
      isGapTold = false
    }
    if reader.mustBeComplete, expected < idAt.count, !isGapTold { tellSkipped(reader.name, expected..<idAt.count) }
  }

  private mutating func tellSkipped(_ reader: String, _ range: Range<Int>) {
    verdict.untoldGaps.append("\(reader) never got \(range.count) entries from \(name(idAt[range.lowerBound])) on")
  }

  private func placeOfAcknowledged(_ number: Int) -> Int {
    if case .acknowledged(let id) = history.posts[number].outcome { place[id] } else { -1 }
  }

  private func name(_ id: Int) -> String { ids.values[id].text }

  private func excerpt(_ content: Int) -> String { String(contents.values[content].prefix(40)) }
}
