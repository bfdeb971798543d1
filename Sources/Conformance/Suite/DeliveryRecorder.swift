import ParleyRuntime

/// A sink that remembers what it was given, and lets a case wait for it.
//
// @unchecked: sinks are called on the loop, where the case that owns the recorder runs too.
public final class DeliveryRecorder: @unchecked Sendable {
  /// Everything that came, in order.
  public private(set) var deliveries: [Delivery] = []
  /// Answer `.pause` once so many deliveries have come; nil never pauses.
  public var pausesAt: Int?
  private let loop: EventLoop
  private let changed: Waiters<Void>

  /// Makes an empty recorder of a loop.
  public init(loop: EventLoop) {
    self.loop = loop
    changed = Waiters(loop: loop)
  }

  /// What to subscribe with.
  public var sink: Sink {
    { [self] delivery in
      deliveries.append(delivery)
      changed.resumeAll(())
      return deliveries.count == pausesAt ? .pause : .more
    }
  }

  /// The messages that came, without the gaps.
  public var messages: [Message] {
    deliveries.compactMap { if case .message(let message) = $0 { message } else { nil } }
  }

  /// The gaps that came.
  public var gaps: [Gap] {
    deliveries.compactMap { if case .gap(let gap) = $0 { gap } else { nil } }
  }

  /// Waits until the condition holds; false when it does not by the deadline.
  public func wait(until deadline: LoopInstant, for condition: (DeliveryRecorder) -> Bool) async -> Bool {
    while !condition(self) {
      guard case .value = await changed.wait(changed.ticket(), until: deadline) else { return condition(self) }
    }
    return true
  }
}
