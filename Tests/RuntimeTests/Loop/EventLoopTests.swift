import CLinux
import Glibc
import ParleyRuntime
import Synchronization
import Testing

/// An actor on a loop that records what it was called with.
actor Recorder: LoopActor {
  nonisolated let loop: EventLoop
  private(set) var values: [Int] = []
  init(loop: EventLoop) { self.loop = loop }
  func add(_ value: Int) { values.append(value) }
  func addAfterYield(_ value: Int) async {
    await Task.yield()
    precondition(loop.isCurrent)
    values.append(value)
  }
}

/// An actor that waits on its loop.
private actor Waiter: LoopActor {
  nonisolated let loop: EventLoop
  init(loop: EventLoop) { self.loop = loop }
  func waitBriefly() async { await loop.sleep(for: .milliseconds(1)) }
}

@Suite struct EventLoopTests {
  @Test func runReturnsTheBodysValueAndRunsItOnTheLoop() throws {
    let loop = try EventLoop()
    #expect(try loop.run { loop.isCurrent })
    #expect(!loop.isCurrent)
  }

  @Test func actorsOnTheLoopNeverLeaveIt() throws {
    let loop = try EventLoop()
    let values = try loop.run {
      let recorder = Recorder(loop: loop)
      await withTaskGroup(of: Void.self) { group in
        for value in 0..<100 { group.addTask { await recorder.addAfterYield(value) } }
      }
      return await recorder.values.sorted()
    }
    #expect(values == Array(0..<100))
  }

  @Test func workFromOtherThreadsRunsInOrder() throws {
    let loop = try EventLoop()
    let other = try EventLoop.thread(named: "other")
    defer { other.stop() }
    let values = try loop.run {
      let recorder = Recorder(loop: loop)
      await withCheckedContinuation { continuation in
        other.execute {
          for value in 0..<1000 { loop.execute { recorder.assumeIsolated { $0.add(value) } } }
          loop.execute { continuation.resume() }
        }
      }
      return await recorder.values
    }
    #expect(values == Array(0..<1000))
  }

  @Test func anActorOfAnotherLoopWaitsOnItsOwn() throws {
    let loop = try EventLoop()
    let other = try EventLoop.thread(named: "other")
    defer { other.stop() }
    // The wait is registered on the actor's loop, although the task prefers the caller's; elsewhere it would trap.
    let isHome = try loop.run {
      await Waiter(loop: other).waitBriefly()
      return loop.isCurrent
    }
    #expect(isHome)
  }

  @Test func aContinuationResumedElsewhereGoesOnOnTheLoop() throws {
    let loop = try EventLoop()
    let other = try EventLoop.thread(named: "other")
    defer { other.stop() }
    let isHome = try loop.run {
      for _ in 0..<1000 {
        await withCheckedContinuation { continuation in other.execute { continuation.resume() } }
        if !loop.isCurrent { return false }
      }
      return true
    }
    #expect(isHome)
  }

  @Test func timersFireInOrderAndNeverEarly() throws {
    let loop = try EventLoop(seed: 1)
    let fired = try loop.run {
      let recorder = Recorder(loop: loop)
      let start = loop.now
      for value in [3, 1, 2] {
        loop.schedule(after: .milliseconds(value)) {
          precondition(start.duration(to: loop.now) >= .milliseconds(value))
          recorder.assumeIsolated { $0.add(value) }
        }
      }
      let cancelled = loop.schedule(after: .milliseconds(2)) { recorder.assumeIsolated { $0.add(99) } }
      loop.cancel(cancelled)
      await loop.sleep(for: .milliseconds(4))
      return await recorder.values
    }
    #expect(fired == [1, 2, 3])
  }

  @Test func manyCancelledTimersLeaveTheLiveOnes() throws {
    let loop = try EventLoop(seed: 2)
    let fired = try loop.run {
      let recorder = Recorder(loop: loop)
      var timers: [LoopTimer] = []
      for value in 0..<1000 {
        timers.append(loop.schedule(after: .milliseconds(1000 - value)) { recorder.assumeIsolated { $0.add(value) } })
      }
      for (value, timer) in timers.enumerated() where value % 100 != 0 { loop.cancel(timer) }
      await loop.sleep(for: .seconds(2))
      return await recorder.values
    }
    #expect(fired == [900, 800, 700, 600, 500, 400, 300, 200, 100, 0])
  }

  @Test func virtualTimeJumpsAndRealTimeDoesNotPass() throws {
    let loop = try EventLoop(seed: 3)
    let started = ContinuousClock.now
    let slept = try loop.run {
      let start = loop.now
      await loop.sleep(for: .seconds(3600))
      return start.duration(to: loop.now)
    }
    #expect(slept == .seconds(3600))
    #expect(ContinuousClock.now - started < .seconds(5))
  }

  @Test func aSeedReplaysItsRandomNumbers() throws {
    func draw() throws -> [UInt64] {
      let loop = try EventLoop(seed: 42)
      return try loop.run { (0..<8).map { _ in loop.random() } }
    }
    let first = try draw()
    #expect(first == (try draw()))
    #expect(Set(first).count == 8)
  }

  @Test func aSeededLoopThatCanNeverGoOnSaysSo() throws {
    let loop = try EventLoop(seed: 4)
    let waiters = Waiters<Void>(loop: loop)
    #expect(throws: LoopStalled.self) {
      try loop.run { _ = await waiters.wait(waiters.ticket(), until: nil) }
    }
  }

  @Test func sleepEndsAtOnceWhenCancelled() throws {
    let loop = try EventLoop()
    let finished = try loop.run {
      let task = loop.spawn { await loop.sleep(for: .seconds(3600)) }
      task.cancel()
      return await task.value
    }
    #expect(!finished)
  }

  @Test func aDescriptorIsReportedReadyUntilItIsRead() throws {
    let loop = try EventLoop()
    let (input, output) = try makePipe()
    defer { close(output) }
    let received = try loop.run {
      await withCheckedContinuation { continuation in
        let gathered = Mutex<[UInt8]>([])
        let watch = Mutex<Watch?>(nil)
        let made = try? loop.watch(input, for: .read) { readiness in
          precondition(readiness.contains(.read) && loop.isCurrent)
          var byte: UInt8 = 0
          precondition(read(input, &byte, 1) == 1)
          let all = gathered.withLock {
            $0.append(byte)
            return $0
          }
          if all.count == 3 {
            watch.withLock { $0.map(loop.unwatch) }
            close(input)
            continuation.resume(returning: all)
          }
        }
        watch.withLock { $0 = made }
        precondition(write(output, [1, 2, 3] as [UInt8], 3) == 3)
      }
    }
    #expect(received == [1, 2, 3])
  }

  @Test func aRegularFileCannotBeWatched() throws {
    let loop = try EventLoop()
    let file = open("/proc/self/status", O_RDONLY)
    defer { close(file) }
    let code: CInt? = try loop.run {
      do throws(SystemError) {
        _ = try loop.watch(file, for: .read) { _ in }
        return nil
      } catch { return error.code }
    }
    #expect(code == EPERM)
  }

  @Test func aStormOfJobsDoesNotStarveDescriptors() throws {
    let loop = try EventLoop()
    let (input, output) = try makePipe()
    defer {
      close(input)
      close(output)
    }
    // The storm ends only when the descriptor was served: a loop that starves it would never return.
    let served = try loop.run {
      let flag = Mutex(false)
      _ = try? loop.watch(input, for: .read) { _ in flag.withLock { $0 = true } }
      precondition(write(output, [1] as [UInt8], 1) == 1)
      while !flag.withLock({ $0 }) { await Task.yield() }
      return true
    }
    #expect(served)
  }

  @Test func anOldWatchDoesNothingToItsSuccessor() throws {
    let loop = try EventLoop()
    let first = try makePipe()
    let second = try makePipe()
    defer { for fd in [first.0, first.1, second.0, second.1] { close(fd) } }
    let served = try loop.run {
      await withCheckedContinuation { continuation in
        let stale = try? loop.watch(first.0, for: .read) { _ in preconditionFailure("unwatched") }
        if let stale { loop.unwatch(stale) }
        let done = Mutex(false)
        _ = try? loop.watch(second.0, for: .read) { _ in
          let isFirst = done.withLock { done in
            defer { done = true }
            return !done
          }
          if isFirst { continuation.resume(returning: true) }
        }
        if let stale { loop.unwatch(stale) }
        precondition(write(first.1, [1] as [UInt8], 1) == 1)
        precondition(write(second.1, [1] as [UInt8], 1) == 1)
      }
    }
    #expect(served)
  }

  private func makePipe() throws -> (CInt, CInt) {
    var ends: [CInt] = [0, 0]
    try SystemError.check("pipe2", parley_pipe(&ends))
    return (ends[0], ends[1])
  }
}

@Suite struct WaitersTests {
  @Test func theFirstOfValueDeadlineAndCancellationWins() throws {
    let loop = try EventLoop(seed: 5)
    let outcomes = try loop.run {
      let waiters = Waiters<Int>(loop: loop)
      let valued = waiters.ticket()
      let timed = waiters.ticket()
      let cancelled = waiters.ticket()
      let tasks = [valued, timed, cancelled].map { ticket in
        loop.spawn { await waiters.wait(ticket, until: loop.now.advanced(by: .seconds(1))) }
      }
      loop.schedule(after: .milliseconds(500)) {
        waiters.resume(valued, 7)
        waiters.resume(valued, 8)
        tasks[2].cancel()
      }
      var outcomes: [String] = []
      for task in tasks { outcomes.append("\(await task.value)") }
      return outcomes
    }
    #expect(outcomes == ["value(7)", "timedOut", "cancelled"])
  }

  @Test func whatComesBeforeTheWaitCountsAndIsForgottenOnlyByWhoDoesNotWait() throws {
    let loop = try EventLoop(seed: 6)
    let outcomes = try loop.run {
      let waiters = Waiters<Int>(loop: loop)
      let (early, forgotten, waited) = (waiters.ticket(), waiters.ticket(), waiters.ticket())
      let task = loop.spawn { await waiters.wait(waited, until: loop.now.advanced(by: .seconds(1))) }
      waiters.resume(early, 1)
      waiters.resumeAll(2)
      waiters.forget(forgotten)
      let first = await waiters.wait(early, until: nil)
      let later = waiters.ticket()
      loop.schedule(after: .milliseconds(10)) {
        waiters.forget(later)
        waiters.resumeAll(3)
      }
      let last = await waiters.wait(later, until: loop.now.advanced(by: .seconds(1)))
      let again = await waiters.wait(early, until: nil)
      return ["\(first)", "\(await task.value)", "\(last)", "\(again)"]
    }
    #expect(outcomes == ["value(1)", "value(2)", "value(3)", "cancelled"])
  }
}
