import ParleyRuntime
import ParleyTLS

/// A backend as the door's participants use it: what is posted and what comes is counted, and, where the door knows its
/// callers, what they post carries its code, and what carries that is read as `verified`.
///
/// The code (HMAC) covers topic, handle, text and everything else that the sender chose. So nobody who may write the
/// backend can put words under a handle that the door vouches for; repeat what was said they can. Readers without the
/// key see a `claimed` message with one attribute more.
package actor DoorBackend<Base: Backend>: Backend {
  package nonisolated let loop: EventLoop
  private let base: Base
  /// Nil where everybody is let in.
  private nonisolated let seal: DoorSeal?
  private nonisolated let metrics: DoorMetrics
  /// Where the door itself says who is there: no caller's post.
  private nonisolated let presenceTopic: Topic?

  package init(_ base: Base, key: ServerKey?, metrics: DoorMetrics, presenceTopic: Topic? = nil) {
    loop = base.loop
    self.base = base
    self.presenceTopic = presenceTopic
    self.metrics = metrics
    seal = key.map(DoorSeal.init)
  }

  package var traits: BackendTraits { base.assumeIsolated { $0.traits } }

  package func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    try await base.connect(lost: lost)
  }

  package func disconnect() async { await base.disconnect() }

  package func subscribe(
    _ topic: Topic, after cursor: Cursor, sink: @escaping Sink
  ) async throws(SeamError) -> SubscriptionID {
    let (seal, metrics) = (seal, metrics)
    return try await base.subscribe(topic, after: cursor) { delivery in
      guard case .message(let message) = delivery else {
        metrics.noticedGap()
        return sink(delivery)
      }
      return sink(.message(seal?.judge(message) ?? message))
    }
  }

  package func resume(_ subscription: SubscriptionID) { base.assumeIsolated { $0.resume(subscription) } }

  package func unsubscribe(_ subscription: SubscriptionID) { base.assumeIsolated { $0.unsubscribe(subscription) } }

  package func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    let begin = loop.now
    do throws(SeamError) {
      let receipt = try await base.post(seal?.stamp(draft) ?? draft, deadline: deadline)
      count(.success(receipt), of: draft, since: begin)
      return receipt
    } catch {
      count(.failure(error), of: draft, since: begin)
      throw error
    }
  }

  package func submit(_ draft: Draft, deadline: LoopInstant, reply: @escaping PostReply) {
    let begin = loop.now
    let stamped = seal?.stamp(draft) ?? draft
    base.assumeIsolated { base in
      base.submit(stamped, deadline: deadline) { [self] outcome in
        count(outcome, of: draft, since: begin)
        reply(outcome)
      }
    }
  }

  private nonisolated func count(
    _ outcome: Result<Receipt, SeamError>, of draft: Draft, since begin: LoopInstant
  ) {
    if draft.topic != presenceTopic { metrics.posted(outcome, after: begin.duration(to: loop.now)) }
  }

  package func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    var page = try await base.fetch(request, deadline: deadline)
    if let seal { page.messages = page.messages.map(seal.judge) }
    return page
  }

  package func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity {
    try await base.resolveIdentity(handle)
  }
}

extension DoorBackend: PrivateTopics {
  /// Passed on where the backend has closed rooms; elsewhere there is nothing to do.
  package func admit(_ handles: [Handle], to topic: Topic, deadline: LoopInstant) async throws(SeamError) {
    try await (base as? any PrivateTopics)?.admit(handles, to: topic, deadline: deadline)
  }
}

extension DoorBackend: PeopledTopics {
  /// Passed on where the backend tells; elsewhere there is nobody.
  package func occupants(of topic: Topic, deadline: LoopInstant) async throws(SeamError) -> [Occupant] {
    try await (base as? any PeopledTopics)?.occupants(of: topic, deadline: deadline) ?? []
  }
}

extension Backend {
  /// The same backend through a door, which counts, and vouches for its callers where it has a key.
  /// What is posted to the presence topic is not counted.
  package nonisolated func behindDoor(
    key: ServerKey?, metrics: DoorMetrics, presenceTopic: Topic? = nil
  ) -> any Backend {
    DoorBackend(self, key: key, metrics: metrics, presenceTopic: presenceTopic)
  }
}

/// The code by which a door knows its own callers' messages again.
struct DoorSeal: Sendable {
  static let attribute = "parley.door"
  private let key: ServerKey

  init(_ key: ServerKey) { self.key = key }

  func stamp(_ draft: Draft) -> Draft {
    // The door knows that the sender has the hook's secret, and nothing else of it; and a name that an agent gave
    // itself says nothing of who it is.
    guard draft.attributes["kind"] != MachineEvent.hook, !draft.author.isSelfNamed else { return draft }
    var stamped = draft
    stamped.attributes[Self.attribute] =
      code(draft.topic, draft.author.handle, draft.content, draft.inReplyTo, draft.to, draft.attributes)
    return stamped
  }

  /// The message without its code, `verified` where that is right; unchanged otherwise.
  func judge(_ message: Message) -> Message {
    guard let given = message.attributes[Self.attribute] else { return message }
    var plain = message
    plain.attributes[Self.attribute] = nil
    let expected = code(
      message.topic, message.sender, message.content, message.inReplyTo, message.to, plain.attributes)
    guard Array(given.utf8).isIdentical(to: Array(expected.utf8)) else { return message }
    plain.provenance = .verified
    return plain
  }

  /// The code as it is carried. Each part is behind its length, so that no two messages have the same bytes.
  private func code(
    _ topic: Topic, _ handle: Handle, _ content: String, _ inReplyTo: MessageID?, _ to: Handle?,
    _ attributes: Attributes
  ) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(content.utf8.count + 256)
    func add(_ text: String?) {
      guard let text else { return bytes += "-1:".utf8 }
      bytes += String(decimal: Int64(text.utf8.count)).utf8
      bytes.append(UInt8(ascii: ":"))
      bytes += text.utf8
    }
    add(topic.name)
    add(handle.name)
    add(content)
    add(inReplyTo?.text)
    add(to?.name)
    for (name, value) in attributes {
      add(name)
      add(value)
    }
    return Base64.encodeURL(key.code(bytes, for: .message))
  }
}
