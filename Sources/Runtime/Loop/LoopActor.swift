/// An actor whose executor is an event loop: C callbacks and readiness callbacks on the loop are already isolated to it.
public protocol LoopActor: Actor {
  /// The loop that runs the actor, for as long as the actor lives.
  nonisolated var loop: EventLoop { get }
}

extension LoopActor {
  /// The loop, as the actor's executor.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }
}
