/// An actor whose executor is an event loop: C callbacks and readiness callbacks on the loop are already isolated to it.
public protocol LoopActor: Actor {
  /// The loop that runs the actor, for as long as the actor lives.
  nonisolated var loop: EventLoop { get }
}

extension LoopActor {
  /// The loop, as the actor's executor.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  /// `Actor.assumeIsolated` at the price of comparing two threads: the standard one looks for the executor's
  /// conformances in each call, some thousand instructions where callbacks follow one another. Traps off the loop.
  @inlinable @inline(__always)
  public nonisolated func assumeIsolated<T: Sendable>(_ operation: (isolated Self) -> T) -> T {
    precondition(loop.isCurrent, "called off the loop of this actor")
    // Isolation is no part of a function's representation. What is cast captures nothing, so that `operation` itself
    // needs no context on the heap, as it would to be cast.
    typealias Operation = (isolated Self) -> T
    typealias Run = (Self, Operation) -> T
    let run = { (actor: isolated Self, operation: Operation) -> T in operation(actor) }
    return unsafe unsafeBitCast(run, to: Run.self)(self, operation)
  }
}
