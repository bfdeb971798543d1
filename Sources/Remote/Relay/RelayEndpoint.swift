import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// The seam over HTTP, for the backend `parley` of another machine (`RelayWire`). Confined to the loop.
///
/// Who comes this way is a program that keeps the rules itself, as one that opens the store does: it may read and write
/// what coordination keeps (`@…`, `~…`, presence), and of the other topics those that this door may use. It posts as the
/// one handle of its token.
//
// @unchecked: confined to the loop's thread.
final class RelayEndpoint: GuardedRoutes, @unchecked Sendable {
  private let hub: Hub
  private let supervisor: Supervisor
  private let compat: CompatOptions
  private let options: DoorOptions
  private let calls: GuardedCalls
  private let lingering: LingeringFeeds

  init(hub: Hub, supervisor: Supervisor, compat: CompatOptions, options: DoorOptions, calls: GuardedCalls) {
    self.hub = hub
    self.compat = compat
    self.supervisor = supervisor
    self.options = options
    self.calls = calls
    lingering = LingeringFeeds(supervisor: supervisor, limit: hub.setup.limits.topicsSubscribed)
  }

  func serves(_ path: String) -> Bool { RelayWire.Operation(path: path) != nil }

  func refusal(of head: RequestHead) -> HTTPResponse? {
    guard head.method == .post else {
      return .refusal(HTTPRefusal(405, "methodNotAllowed", "POST"), fields: [("Allow", "POST")])
    }
    guard head.contentType == "application/json" else {
      return .refusal(HTTPRefusal(415, "unsupportedMediaType", "the body must be application/json"))
    }
    return nil
  }

  /// A byte of a text takes at most six in JSON.
  func bodyLimit(of head: RequestHead) -> Int {
    max(hub.setup.limits.lineBytes, hub.setup.limits.contentBytes * 6 + (1 << 20))
  }

  func handle(_ exchange: HTTPExchange, from principal: Principal) {
    guard principal.scopes.covers(.relay) else { return calls.refuse(exchange, lacking: .relay) }
    guard let operation = RelayWire.Operation(path: exchange.head.path),
      let body = try? JSONSlice(exchange.body, depth: hub.setup.limits.jsonDepth, limit: bodyLimit(of: exchange.head)),
      body.kind == .object
    else { return exchange.answer(.badRequest("the body must be a JSON object")) }
    calls.answer(exchange, rechecks: operation != .post) { [self] in
      do throws(SeamError) {
        return .json(200, try await answer(operation, body, principal))
      } catch {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.key("error")
        writer.relay(error)
        writer.endObject()
        return .json(HubError.seam(error).status, writer.bytes)
      }
    }
  }

  private func answer(
    _ operation: RelayWire.Operation, _ body: JSONSlice, _ principal: Principal
  ) async throws(SeamError) -> [UInt8] {
    switch operation {
    case .traits: try await traits()
    case .post: try await post(body, principal)
    case .fetch: try await fetch(body)
    case .watch: try await watch(body)
    case .identity: try await identity(body)
    case .admit: try await admit(body)
    }
  }

  // MARK: Operations

  private func traits() async throws(SeamError) -> [UInt8] {
    try await supervisor.ready(until: hub.loop.now.advanced(by: .seconds(5)), for: "connect")
    var writer = JSONWriter(capacity: 512)
    var traits = await supervisor.traits
    traits.contentLimit = min(traits.contentLimit ?? .max, hub.setup.limits.contentBytes)
    writer.relay(traits)
    return writer.bytes
  }

  /// Drafts are handed over in their order; each gets its own outcome.
  private func post(_ body: JSONSlice, _ principal: Principal) async throws(SeamError) -> [UInt8] {
    guard let list = body.member("posts"), list.kind == .array else { throw Self.malformed }
    var drafts: [(Draft, LoopInstant)] = []
    for element in list.elements {
      guard drafts.count < RelayWire.batch, !element.hasLoneSurrogate, let (draft, patience) = Draft.relayed(element)
      else { throw Self.malformed }
      drafts.append((draft, hub.loop.now.advanced(by: min(patience, .seconds(120)))))
    }
    let outcomes = await withCheckedContinuation { (reply: CheckedContinuation<[Result<Receipt, SeamError>], Never>) in
      let outcomes = PostOutcomes(count: drafts.count) { reply.resume(returning: $0) }
      for (index, (draft, deadline)) in drafts.enumerated() {
        if let refusal = refusal(of: draft, by: principal) {
          outcomes.take(.failure(refusal), at: index)
          continue
        }
        supervisor.assumeIsolated { supervisor in
          supervisor.submit(draft, deadline: deadline) { outcomes.take($0, at: index) }
        }
      }
    }
    var writer = JSONWriter(capacity: 256 * outcomes.count)
    writer.beginObject()
    writer.key("outcomes")
    writer.beginArray()
    for outcome in outcomes { writer.relay(outcome) }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  private func refusal(of draft: Draft, by principal: Principal) -> SeamError? {
    if !permits(draft.topic) { return Self.notAllowed(draft.topic, "post") }
    let limit = hub.setup.limits.contentBytes
    if draft.content.utf8.count > limit {
      return SeamError(.tooLarge(limit: limit), operation: "post", cause: "the door takes at most \(limit) bytes")
    }
    let own = principal.handle ?? hub.setup.author.handle
    // Where everybody is let in, everybody says who it is.
    if options.authenticator is OpenDoor || draft.author.handle == own { return nil }
    // A name that an agent gave itself is a claim, which the door does not vouch for.
    if draft.author.isSelfNamed, draft.author.handle.problem(limit: hub.setup.limits.handleBytes) == nil,
      compat.isFree(draft.author.handle)
    {
      return nil
    }
    return SeamError(
      .forbidden, operation: "post", cause: "the token posts as \(own.name), not as \(draft.author.handle.name)")
  }

  private func fetch(_ body: JSONSlice) async throws(SeamError) -> [UInt8] {
    guard let name = body.member("topic")?.string, let limit = body.member("limit")?.int, (1...1_000).contains(limit),
      let patience = body.member("patienceMs")?.int, (0...120_000).contains(patience)
    else { throw Self.malformed }
    let position: Position
    switch (body.member("after")?.string, body.member("before")?.string) {
    case (let after?, nil): position = .after(Cursor(after))
    case (nil, let before?): position = .before(Cursor(before), storedSince: body.member("storedSince")?.int)
    case (nil, nil): position = .latest
    default: throw Self.malformed
    }
    let topic = Topic(name)
    guard permits(topic) else { throw Self.notAllowed(topic, "fetch") }
    let page = try await supervisor.fetch(
      FetchRequest(topic, position, limit: Int(limit)),
      deadline: hub.loop.now.advanced(by: .milliseconds(patience)))
    var writer = JSONWriter(capacity: 4096)
    writer.relay(
      topic: topic, messages: page.messages, next: page.next, previous: page.previous, hasMore: page.hasMore,
      gap: page.gap)
    return writer.bytes
  }

  /// News of any of the topics, or none after a while. Fails at once while the backend is away, so that the other end
  /// knows.
  private func watch(_ body: JSONSlice) async throws(SeamError) -> [UInt8] {
    guard let places = body.member("places"), places.kind == .array else { throw Self.malformed }
    var cursors: [Topic: Cursor] = [:]
    for place in places.elements {
      guard let topic = place.member("topic")?.string.map(Topic.init), let cursor = place.member("after")?.string,
        cursors.count < hub.setup.limits.topicsSubscribed
      else { throw Self.malformed }
      guard permits(topic) else { throw Self.notAllowed(topic, "subscribe") }
      cursors[topic] = Cursor(cursor)
    }
    try await supervisor.ready(until: hub.loop.now.advanced(by: .seconds(1)), for: "subscribe")
    let deadline = hub.loop.now.advanced(by: RelayWire.patience)
    let left = ContentBudget(hub.setup.limits.pageBytes)
    let news = await supervisor.awaitNews(
      cursors, limit: 500, until: deadline, fits: { left.take($0.content.utf8.count) }, wanted: { _ in true })
    lingering.keep(cursors.merging(news.mapValues(\.next)) { $1 })
    var writer = JSONWriter(capacity: 1024)
    writer.beginObject()
    writer.key("news")
    writer.beginArray()
    for (topic, found) in news.sorted(by: { $0.key < $1.key }) {
      writer.relay(topic: topic, messages: found.messages, next: found.next, hasMore: found.hasMore, gap: found.gap)
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  private func identity(_ body: JSONSlice) async throws(SeamError) -> [UInt8] {
    guard let handle = body.member("handle")?.string else { throw Self.malformed }
    let found = try await supervisor.resolveIdentity(
      Handle(handle), deadline: hub.loop.now.advanced(by: hub.setup.patience))
    var writer = JSONWriter(capacity: 128)
    writer.beginObject()
    if case .account(let account, let provenance) = found {
      writer.member("account", account)
      writer.member("provenance", provenance.rawValue)
    }
    writer.endObject()
    return writer.bytes
  }

  private func admit(_ body: JSONSlice) async throws(SeamError) -> [UInt8] {
    guard let name = body.member("topic")?.string, Topic(name).isReserved, let list = body.member("handles"),
      list.kind == .array
    else { throw Self.malformed }
    let handles = list.elements.compactMap(\.string).map(Handle.init)
    try await supervisor.admit(
      handles, to: Topic(name), deadline: hub.loop.now.advanced(by: hub.setup.patience))
    return Array("{}".utf8)
  }

  // MARK: Rules

  private func permits(_ topic: Topic) -> Bool {
    topic.isReserved || topic == hub.setup.presenceTopic || compat.keeps(topic)
      || hub.assumeIsolated { $0.permits(topic) }
  }

  private static func notAllowed(_ topic: Topic, _ operation: String) -> SeamError {
    SeamError(
      .forbidden, operation: operation,
      cause: "the door does not carry the topic \(topic.name): it is not in its topics or post_topics")
  }

  private static let malformed = SeamError(
    .invalidRequest, operation: "relay", cause: "the request is none that this version of the door knows")
}

/// Gathers the outcomes of one request's drafts. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
private final class PostOutcomes: @unchecked Sendable {
  private var found: [Result<Receipt, SeamError>?]
  private var missing: Int
  private let done: ([Result<Receipt, SeamError>]) -> Void

  init(count: Int, done: @escaping ([Result<Receipt, SeamError>]) -> Void) {
    found = Array(repeating: nil, count: count)
    missing = count
    self.done = done
    if count == 0 { done([]) }
  }

  func take(_ outcome: Result<Receipt, SeamError>, at index: Int) {
    found[index] = outcome
    missing -= 1
    if missing == 0 { done(found.compactMap { $0 }) }
  }
}

/// What is left of one answer's bytes; the first message always fits. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
private final class ContentBudget: @unchecked Sendable {
  private var left: Int
  private var isEmpty = true

  init(_ bytes: Int) { left = bytes }

  func take(_ bytes: Int) -> Bool {
    guard isEmpty || bytes <= left else { return false }
    isEmpty = false
    left -= bytes
    return true
  }
}
