import ParleyConformance
import ParleyRuntime

/// A simulated backend with closed rooms, which remembers who was let in.
actor ClosedBackend: PrivateTopics {
  nonisolated let loop: EventLoop
  private let inner: SimulatedBackend
  private(set) var admitted: [Topic: [Handle]] = [:]

  init(_ store: SimulatedStore) {
    loop = store.loop
    inner = SimulatedBackend(store: store)
  }

  func admit(_ handles: [Handle], to topic: Topic, deadline: LoopInstant) async throws(SeamError) {
    admitted[topic, default: []] += handles
  }

  var traits: BackendTraits { inner.assumeIsolated { $0.traits } }

  func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    try await inner.connect(lost: lost)
  }

  func disconnect() async { await inner.disconnect() }

  func subscribe(_ topic: Topic, after cursor: Cursor, sink: @escaping Sink) async throws(SeamError) -> SubscriptionID {
    try await inner.subscribe(topic, after: cursor, sink: sink)
  }

  func resume(_ subscription: SubscriptionID) { inner.assumeIsolated { $0.resume(subscription) } }
  func unsubscribe(_ subscription: SubscriptionID) { inner.assumeIsolated { $0.unsubscribe(subscription) } }

  func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    try await inner.post(draft, deadline: deadline)
  }

  func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    try await inner.fetch(request, deadline: deadline)
  }

  func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity {
    try await inner.resolveIdentity(handle)
  }
}
