import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

/// Seeded simulations of supervisors over a faulty store. `PARLEY_SEEDS` sets how many, `PARLEY_SEED` replays one.
struct SimulationTests {
  @Test func everySeedKeepsTheContract() async throws {
    let seeds: Range<UInt64>
    if let one = Environment.value("PARLEY_SEED").flatMap({ UInt64($0) }) {
      seeds = one..<(one + 1)
    } else {
      seeds = 1..<(1 + (Environment.value("PARLEY_SEEDS").flatMap { UInt64($0) } ?? 2_000))
    }
    var reports: [(seed: UInt64, report: Simulation.Report)] = []
    let lanes = [try EventLoop.thread(named: "lane 0"), try EventLoop.thread(named: "lane 1")]
    defer { for lane in lanes { lane.stop() } }
    let tasks = lanes.enumerated().map { index, lane in
      lane.spawn { () -> [(seed: UInt64, report: Result<Simulation.Report, any Error>)] in
        seeds.filter { $0 % 2 == UInt64(index) }.map { seed in
          (seed, Result { try Simulation.run(seed: seed) })
        }
      }
    }
    for task in tasks { for (seed, report) in await task.value { reports.append((seed, try report.get())) } }
    for (seed, report) in reports.sorted(by: { $0.seed < $1.seed }) {
      #expect(!report.stalled, "seed \(seed) stalled: PARLEY_SEED=\(seed) replays it")
      #expect(report.verdict.isClean, "seed \(seed): PARLEY_SEED=\(seed) replays it\n\(report.verdict)")
    }
    var sum = Verdict()
    for (_, report) in reports { sum.add(report.verdict) }
    // A workload that did nothing would be clean too.
    if seeds.count >= 100 {
      #expect(sum.acknowledged > 50 * seeds.count / 10 && sum.delivered > sum.acknowledged, "\(sum)")
      #expect(sum.unknown > 0 && sum.failed > 0 && sum.gapsTold > 0 && sum.removed > 0, "\(sum)")
    }
    print("\(seeds.count) seeds: \(sum)")
  }

  @Test(arguments: [1, 2, 3, 17, 99] as [UInt64]) func seedReplaysExactly(_ seed: UInt64) throws {
    let first = try Simulation.run(seed: seed)
    let second = try Simulation.run(seed: seed)
    #expect(first.trace == second.trace && first.verdict == second.verdict)
    #expect(try Simulation.run(seed: seed + 1).trace != first.trace)
  }

  @Test(arguments: SimulatedStore.Defect.allCases) func defectsAreCaught(_ defect: SimulatedStore.Defect) throws {
    for seed in 1...100 as ClosedRange<UInt64> {
      let report = try Simulation.run(seed: seed, defect: defect)
      if !report.verdict.isClean || report.stalled { return }
    }
    Issue.record("100 seeds did not notice \(defect)")
  }
}
