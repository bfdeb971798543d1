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
    let isolated = IsolatedRun<Self, T> { actor, operation in operation(actor) }
    // Isolation is no part of a function's representation. Cast inside a structure, and not by itself, the function keeps
    // its own calling convention, so that `operation` needs no context on the heap and is compiled into the caller.
    return unsafe unsafeBitCast(isolated, to: PlainRun<Self, T>.self).run(self, operation)
  }
}

/// How an isolated operation is run: from the isolation of its actor.
@usableFromInline struct IsolatedRun<Subject: LoopActor, Value> {
  @usableFromInline let run: (isolated Subject, (isolated Subject) -> Value) -> Value

  @inlinable init(_ run: @escaping (isolated Subject, (isolated Subject) -> Value) -> Value) { self.run = run }
}

/// The same function, called where the compiler does not see the isolation. Only `LoopActor.assumeIsolated` makes one.
@usableFromInline struct PlainRun<Subject: LoopActor, Value> {
  @usableFromInline let run: (Subject, (isolated Subject) -> Value) -> Value
}
