import ParleyRuntime

/// What goes wrong in a simulated store, and how often. Chances are per mille.
public struct FaultPlan: Hashable, Sendable {
  /// How long a request, an answer or a push travels, in microseconds.
  public var latency: ClosedRange<Int> = 0...0
  /// A way that takes `slowness` instead.
  public var slow = 0
  /// What a slow way takes, in microseconds.
  public var slowness: ClosedRange<Int> = 0...0
  /// A post is lost before it is stored; its outcome is unknown.
  public var dropBeforeStoring = 0
  /// A post is stored, but its answer is lost; its outcome is unknown.
  public var dropAnswer = 0
  /// The transport repeats up to four messages that it pushed before; readers must not see them again.
  public var duplicate = 0
  /// The transport loses a wake-up; the next one, or the safety poll after 50 ms, brings the messages.
  public var loseWakeUp = 0
  /// The pause between two disturbances, in microseconds; nil for none.
  public var disturbanceEvery: ClosedRange<Int>?
  /// How often each disturbance is chosen, relative to the others.
  public var weights = Weights()

  /// Relative frequencies of what happens to the whole store.
  public struct Weights: Hashable, Sendable {
    /// One session is cut.
    public var cut = 0
    /// The store goes away for a while; its logs are kept.
    public var restart = 0
    /// The store fails over to a copy that lacks the newest messages.
    public var loseTail = 0
    /// The oldest messages of a topic are trimmed by count.
    public var trim = 0
    /// Messages of a topic expire by age.
    public var expire = 0

    /// No disturbance.
    public init() {}
  }

  /// A store in which nothing goes wrong and nothing takes time.
  public init() {}

  /// Draws a plan: which faults there are, and how often, differs from seed to seed.
  public static func draw(_ random: () -> UInt64) -> FaultPlan {
    func upTo(_ bound: Int) -> Int { Int(random() % UInt64(bound + 1)) }
    func sometimes(_ bound: Int) -> Int { upTo(2) == 0 ? 0 : upTo(bound) }
    var plan = FaultPlan()
    plan.latency = 0...(100 + upTo(5_000))
    plan.slow = sometimes(50)
    plan.slowness = 20_000...(20_000 + upTo(400_000))
    plan.dropBeforeStoring = sometimes(80)
    plan.dropAnswer = sometimes(80)
    plan.duplicate = sometimes(300)
    plan.loseWakeUp = sometimes(300)
    if upTo(3) > 0 {
      let shortest = 5_000 + upTo(50_000)
      plan.disturbanceEvery = shortest...(shortest + upTo(300_000))
      plan.weights.cut = 1 + sometimes(5)
      plan.weights.restart = sometimes(3)
      plan.weights.loseTail = sometimes(2)
      plan.weights.trim = sometimes(3)
      plan.weights.expire = sometimes(2)
    }
    return plan
  }
}

extension EventLoop {
  /// A number of the range, from the loop's generator.
  func random(in range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(random() % UInt64(range.upperBound - range.lowerBound + 1))
  }

  /// True `chance` times in a thousand. Draws nothing for 0, so that a plan without a fault does not depend on it.
  func happens(_ chance: Int) -> Bool { chance > 0 && Int(random() % 1000) < chance }
}
