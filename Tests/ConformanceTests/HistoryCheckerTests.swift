import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

/// A good history of two writers and two readers, and every way to spoil it.
struct HistoryCheckerTests {
  /// What a test changes before the history is judged.
  struct Good {
    /// Contents in log order; ids are their numbers. Number 4's outcome stays unknown though it is stored.
    var log = (1...8).map { HistoryChecker.Entry(id: MessageID("\($0)"), content: "text \($0)") }
    var acknowledged = [1, 2, 3, 5, 6, 7, 8]
    var failed = [9]
    var acknowledgedIDs: [Int: String] = [:]
    /// Message numbers in order of delivery; nil is a gap.
    var deliveries: [[Int?]] = [[1, 2, 3, 4, 5, 6, 7, 8], [4, 5, 6, 7, 8]]
    var altered: Int?

    func judge() -> Verdict {
      var checker = HistoryChecker()
      var posts: [Int: HistoryChecker.Post] = [:]
      for number in 1...9 {
        let post = checker.attempt(
          writer: number % 2 == 0 ? "even" : "odd", key: "k\(number)", content: "text \(number)")
        posts[number] = post
        if acknowledged.contains(number) {
          checker.acknowledge(post, id: MessageID(acknowledgedIDs[number] ?? "\(number)"))
        } else if failed.contains(number) {
          checker.fail(post)
        } else {
          checker.leaveUnknown(post)
        }
      }
      for (index, numbers) in deliveries.enumerated() {
        let reader = checker.addReader("reader \(index)", after: index == 0 ? nil : MessageID("3"))
        for number in numbers {
          if let number {
            let content = number == altered ? "other text" : "text \(number)"
            checker.deliver(id: MessageID("\(number)"), content: content, to: reader)
          } else {
            checker.tellGap(to: reader)
          }
        }
        checker.expectComplete(reader)
      }
      return checker.verdict(log: log)
    }
  }

  @Test func goodHistoryIsClean() {
    let verdict = Good().judge()
    #expect(verdict.isClean, "\(verdict)")
    #expect(verdict.attempted == 9 && verdict.acknowledged == 7 && verdict.failed == 1 && verdict.unknown == 1)
    #expect(verdict.delivered == 13 && verdict.present == 8 && verdict.readers == 2)
  }

  @Test func acknowledgedButNotStoredIsLost() {
    var good = Good()
    good.log.removeLast()
    good.deliveries = [[1, 2, 3, 4, 5, 6, 7], [4, 5, 6, 7]]
    let verdict = good.judge()
    #expect(verdict.lost.count == 1 && verdict.duplicated.isEmpty && verdict.untoldGaps.isEmpty, "\(verdict)")
  }

  @Test func acknowledgementWithAnotherMessagesIDIsLost() {
    var good = Good()
    good.acknowledgedIDs[3] = "2"
    #expect(good.judge().lost.count == 1)
  }

  @Test func removedOnPurposeIsNotLost() {
    var good = Good()
    good.log[0].isRemoved = true
    good.log[1].isRemoved = true
    good.deliveries[0] = [nil, 3, 4, 5, 6, 7, 8]
    let verdict = good.judge()
    #expect(verdict.isClean && verdict.removed == 2 && verdict.gapsTold == 1, "\(verdict)")
  }

  @Test func removalThatIsNotToldIsAnUntoldGap() {
    var good = Good()
    good.log[0].isRemoved = true
    good.deliveries[0] = [2, 3, 4, 5, 6, 7, 8]
    #expect(good.judge().untoldGaps.count == 1)
  }

  @Test func gapToldElsewhereDoesNotCoverASkippedEntry() {
    var good = Good()
    good.deliveries[0] = [nil, 1, 2, 4, 5, 6, 7, 8]
    #expect(good.judge().untoldGaps.count == 1)
  }

  @Test func missingTailIsAnUntoldGap() {
    var good = Good()
    good.deliveries[1] = [4, 5, 6]
    let verdict = good.judge()
    #expect(verdict.untoldGaps.count == 1 && verdict.lost.isEmpty, "\(verdict)")
  }

  @Test func seenTwiceIsDuplicated() {
    var good = Good()
    good.deliveries[0] = [1, 2, 2, 3, 4, 5, 6, 7, 8]
    let verdict = good.judge()
    #expect(verdict.duplicated.count == 1 && verdict.outOfOrder.isEmpty, "\(verdict)")
  }

  @Test func storedTwiceIsDuplicated() {
    var good = Good()
    good.log.append(HistoryChecker.Entry(id: MessageID("10"), content: "text 4"))
    #expect(good.judge().duplicated.count == 1)
  }

  @Test func oneIDForTwoEntriesIsDuplicated() {
    var good = Good()
    good.log[7] = HistoryChecker.Entry(id: MessageID("7"), content: "text 8")
    #expect(!good.judge().duplicated.isEmpty)
  }

  @Test func copyAfterALostTailIsNotADuplicate() {
    var good = Good()
    good.log[7].isRemoved = true
    good.log.append(HistoryChecker.Entry(id: MessageID("10"), content: "text 8"))
    good.deliveries = [[1, 2, 3, 4, 5, 6, 7, 8, nil], [4, 5, 6, 7, nil]]
    let verdict = good.judge()
    #expect(verdict.isClean, "\(verdict)")
  }

  @Test func swappedDeliveryIsOutOfOrder() {
    var good = Good()
    good.deliveries[0] = [1, 3, 2, 4, 5, 6, 7, 8]
    #expect(good.judge().outOfOrder.count == 1)
  }

  @Test func writersOrderMustBeTheLogs() {
    var good = Good()
    good.log.swapAt(4, 6)
    good.deliveries = [[1, 2, 3, 4, 7, 6, 5, 8], [4, 7, 6, 5, 8]]
    let verdict = good.judge()
    #expect(verdict.outOfOrder.count == 1, "\(verdict)")
  }

  @Test func neverPostedIsAPhantom() {
    var good = Good()
    good.log.append(HistoryChecker.Entry(id: MessageID("77"), content: "text 77"))
    good.deliveries[0].append(77)
    good.deliveries[1].append(77)
    #expect(!good.judge().phantoms.isEmpty)
  }

  @Test func deliveredButNotInTheLogIsAPhantom() {
    var good = Good()
    good.deliveries[0].append(9)
    #expect(good.judge().phantoms.count == 1)
  }

  @Test func alteredTextIsAPhantom() {
    var good = Good()
    good.altered = 6
    #expect(good.judge().phantoms.count == 2)
  }

  @Test func failedButStoredIsAFalseFailure() {
    var good = Good()
    good.failed = [4, 9]
    #expect(good.judge().falseFailures.count == 1)
  }

  @Test func unknownIsNoSuccess() {
    var checker = HistoryChecker()
    let post = checker.attempt(writer: "w", key: "k", content: "text")
    checker.leaveUnknown(post)
    checker.acknowledge(post, id: MessageID("1"))
    let log = [HistoryChecker.Entry(id: MessageID("1"), content: "text")]
    #expect(checker.verdict(log: log).unknownAsSuccess.count == 1)
  }

  @Test func retryAfterUnknownMayBeAcknowledged() {
    var checker = HistoryChecker()
    let post = checker.attempt(writer: "w", key: "k", content: "text")
    checker.leaveUnknown(post)
    #expect(checker.attempt(writer: "w", key: "k", content: "text") == post)
    checker.acknowledge(post, id: MessageID("1"))
    let verdict = checker.verdict(log: [HistoryChecker.Entry(id: MessageID("1"), content: "text")])
    #expect(verdict.isClean && verdict.attempted == 1 && verdict.acknowledged == 1)
  }

  @Test func descriptionNamesCountsAndFirstOffenders() {
    var good = Good()
    good.log = []
    good.deliveries = [[], []]
    let text = good.judge().description
    #expect(text.contains("7 lost") && text.contains("odd's post k1") && text.contains("and 4 more"), "\(text)")
  }

  @Test func judgesQuickly() {
    let elapsed = processorTime {
      var checker = HistoryChecker()
      let readers = (0..<3).map { checker.addReader("reader \($0)") }
      var log: [HistoryChecker.Entry] = []
      for number in 0..<50_000 {
        let content = "message \(number) of the measured history"
        let id = MessageID("\(number)")
        checker.acknowledge(checker.attempt(writer: "w", key: "\(number)", content: content), id: id)
        for reader in readers { checker.deliver(id: id, content: content, to: reader) }
        log.append(HistoryChecker.Entry(id: id, content: content))
      }
      for reader in readers { checker.expectComplete(reader) }
      #expect(checker.verdict(log: log).isClean)
    }
    // 250,000 events; far above what it takes, far below what a quadratic step would take.
    #expect(elapsed < .seconds(2), "\(elapsed)")
  }
}
