import ParleyRuntime

/// How far a participant has read each topic: a fold over the participant's own topic `@handle`.
public actor ReadMarks: LoopActor {
  public nonisolated let loop: EventLoop
  private let hub: Hub

  /// Makes the read marks of the hub's author; nothing is read until `load`.
  public init(hub: Hub) {
    loop = hub.loop
    self.hub = hub
  }
}
