import ParleyRuntime

/// What became of messages: notes what was pushed to the participant, and waits for what became of its own.
///
/// Stored is what posting returns, pushed is noted in the recipient's own topic, seen is where its read mark stands, and
/// acted is what refers to the message. None of it is pushed to anyone.
public actor Receipts: LoopActor {
  /// What was pushed is noted after so long, in one event for each topic.
  static let gathering: Duration = .seconds(1)
  /// Messages in one event.
  static let batch = 200
  /// The newest messages of a recipient's own topic that are looked at when waiting begins.
  static let lookBack = 200

  public nonisolated let loop: EventLoop
  private let hub: Hub
  private var pushed: [Topic: [MessageID]] = [:]
  private var noting: LoopTimer?
  private var isStopped = false

  /// The receipts of the hub's participant.
  public init(hub: Hub) {
    loop = hub.loop
    self.hub = hub
  }

  // MARK: Noting

  /// A message was written to a session; noted where its sender may want to know: it is directed to the participant,
  /// mentions it, or stands in a conversation. Must be called on the loop.
  public func notePushed(_ message: Message) {
    let me = hub.setup.author.handle
    guard !isStopped, !message.isQuiet, message.to == me || message.topic.isReserved || message.mentions.contains(me)
    else { return }
    pushed[message.topic, default: []].append(message.id)
    if pushed[message.topic]?.count == Self.batch { return noteSoon(after: .zero) }
    if noting == nil { noteSoon(after: Self.gathering) }
  }

  private func noteSoon(after delay: Duration) {
    if let noting { loop.cancel(noting) }
    noting = loop.schedule(after: delay) { [weak self] in
      guard let self else { return }
      self.loop.spawn { await self.note() }
    }
  }

  private func note() async {
    let batch = pushed
    pushed = [:]
    noting = nil
    for (topic, ids) in batch.sorted(by: { $0.key < $1.key }) {
      let (content, attributes) = OwnEvent.pushed(topic, ids).message(by: hub.setup.author.handle)
      do throws(HubError) {
        _ = try await hub.postUnchecked(
          PostRequest(topic: hub.setup.author.handle.ownTopic, content: content, attributes: attributes))
      } catch {
        Log.write(.info, "receipts were not stored", [("cause", error.description)])
      }
    }
  }

  /// Nothing is noted afterwards.
  public func stop() async {
    isStopped = true
    if let noting { loop.cancel(noting) }
    noting = nil
  }

  // MARK: Waiting

  /// Whom a post is meant for: the one it is directed to, or the only one it mentions.
  public static func recipient(of request: PostRequest) -> Handle? {
    if let to = request.to { return to }
    let mentions = Mentions.handles(in: request.content)
    return mentions.count == 1 ? mentions.first : nil
  }

  /// Throws `badArgument` where only a recipient could bring a post so far, and none is named.
  public static func check(_ stage: ReceiptStage, for request: PostRequest) throws(HubError) {
    guard recipient(of: request) != nil || stage == .acted else {
      throw .badArgument(name: "wait_for", reason: "\(stage.name) needs one recipient: `to`, or a single mention")
    }
  }

  /// Waits until a message of the participant has come as far as `stage`, at most until `deadline`, and says how far it
  /// has come.
  public func wait(
    for stage: ReceiptStage, of receipt: Receipt, on topic: Topic, recipient: Handle?, until deadline: LoopInstant
  ) async -> ReceiptStage {
    // Not every acknowledgement says when; then the log does.
    var storedAt = receipt.storedAt
    if storedAt == nil { storedAt = await newest(of: topic)?.messages.last { $0.id == receipt.id }?.storedAt }
    var account: String?
    if let recipient { account = await self.account(of: recipient, until: deadline) }
    let changes = Waiters<Void>(loop: loop)
    let watch = ReceiptWatch(
      ReceiptFold(
        id: receipt.id, topic: topic, cursor: receipt.cursor,
        storedAt: storedAt ?? .max, sender: hub.setup.author.handle,
        recipient: recipient, account: account))
    var follows: [FollowID] = []
    follows.append(
      await hub.supervisor.follow(topic, after: receipt.cursor) { delivery in
        if case .message(let message) = delivery { watch.change { $0.applyTopic(message) } }
        changes.resumeAll(())
        return .more
      })
    if let recipient {
      let own = recipient.ownTopic
      let page = await newest(of: own)
      for message in page?.messages ?? [] { watch.change { $0.applyOwn(message) } }
      if let page {
        follows.append(
          await hub.supervisor.follow(own, after: page.next) { delivery in
            if case .message(let message) = delivery { watch.change { $0.applyOwn(message) } }
            changes.resumeAll(())
            return .more
          })
      }
    }
    while true {
      // Taken first, so that no change falls between the look and the wait.
      let ticket = changes.ticket()
      guard watch.stage < stage, loop.now < deadline, !Task.isCancelled else {
        changes.forget(ticket)
        break
      }
      _ = await changes.wait(ticket, until: deadline)
    }
    for id in follows { await hub.supervisor.unfollow(id) }
    return watch.stage
  }

  /// The account that speaks for a recipient, as it is known before anything of the recipient's is read. Ours where
  /// there is none, since processes of one account trust each other; nil where senders have no accounts.
  private func account(of recipient: Handle, until deadline: LoopInstant) async -> String? {
    guard let own = await hub.supervisor.traits.account else { return nil }
    return await hub.account(of: recipient, until: deadline) ?? own
  }

  /// Nil where it cannot be read: then only what refers to the message tells.
  private func newest(of topic: Topic) async -> Page? {
    do throws(HubError) {
      return try await hub.fetchUnchecked(
        FetchRequest(topic, .latest, limit: min(Self.lookBack, hub.setup.limits.pageMessages)))
    } catch {
      return nil
    }
  }
}

/// The fold of one waiting call, which deliveries change. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
private final class ReceiptWatch: @unchecked Sendable {
  private var fold: ReceiptFold
  var stage: ReceiptStage { fold.stage }

  init(_ fold: ReceiptFold) { self.fold = fold }

  func change(_ body: (inout ReceiptFold) -> Void) { body(&fold) }
}
