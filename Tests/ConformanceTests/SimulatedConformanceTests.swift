import ParleyConformance
import ParleyRuntime
import Testing

/// The suite over the simulated backend: every hook is there, so every case must pass, none may be skipped.
struct SimulatedConformanceTests {
  static func suite(plan: FaultPlan = FaultPlan(), defect: SimulatedStore.Defect? = nil) -> ConformanceSuite {
    ConformanceSuite { loop in
      let simulated = SimulatedStore(loop: loop, plan: plan, defect: defect)
      var store = ConformanceStore { SimulatedBackend(store: simulated) }
      store.trim = { topic, count in
        loop.execute { simulated.trim(topic, keeping: count) }; await loop.sleep(for: .zero)
      }
      store.restart = {
        loop.execute { simulated.restart(downtime: .milliseconds(100)) }
        await loop.sleep(for: .milliseconds(110))
      }
      store.cut = {
        loop.execute { simulated.cutAll() }; await loop.sleep(for: .zero)
      }
      return store
    }
  }

  @Test(arguments: ConformanceSuite.cases) func inRealTime(_ conformanceCase: ConformanceCase) async throws {
    let outcome = try await Self.suite().run(conformanceCase)
    if case .notApplicable(let reason) = outcome {
      #expect(reason == "no deleteTopic hook", "\(conformanceCase): \(reason)")
    }
  }

  /// The same with latency, transport duplicates and lost wake-ups, in virtual time.
  @Test(arguments: ConformanceSuite.cases) func inVirtualTimeWithLatency(_ conformanceCase: ConformanceCase) throws {
    var plan = FaultPlan()
    plan.latency = 100...3_000
    plan.slow = 20
    plan.slowness = 20_000...60_000
    plan.duplicate = 200
    plan.loseWakeUp = 100
    let suite = Self.suite(plan: plan)
    let loop = try EventLoop(seed: 7)
    let result = try loop.run { await resultOf { try await suite.run(conformanceCase, on: loop) } }
    _ = try result.get()
  }

  /// Each defect of the store makes some case fail: a suite that cannot fail proves nothing.
  @Test(arguments: SimulatedStore.Defect.allCases) func defectsAreNoticed(_ defect: SimulatedStore.Defect) throws {
    var plan = FaultPlan()
    plan.latency = 100...3_000
    plan.duplicate = 500
    if defect == .acknowledgesDropped { plan.dropBeforeStoring = 100 }
    let suite = Self.suite(plan: plan, defect: defect)
    var failed: [String] = []
    for conformanceCase in ConformanceSuite.cases {
      let loop = try EventLoop(seed: 11)
      let result = try loop.run { await resultOf { try await suite.run(conformanceCase, on: loop) } }
      if case .failure(let error) = result, error is ConformanceFailure {
        failed.append("\(conformanceCase): \(error)")
      }
    }
    #expect(!failed.isEmpty, "no case notices \(defect)")
  }
}

func resultOf(
  _ body: () async throws -> ConformanceSuite.Outcome
) async -> Result<ConformanceSuite.Outcome, any Error> {
  do { return .success(try await body()) } catch { return .failure(error) }
}
