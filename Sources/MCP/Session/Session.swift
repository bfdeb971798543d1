import ParleyCoordination
import ParleyRuntime

/// One MCP session: messages of a client in, answers and notifications out, without knowing what carries them.
///
/// Speaks the revisions with a handshake (`initialize`) and the stateless one (`params._meta`) side by side. What can
/// be answered from memory is answered before `receive` returns; calls run as tasks, each answered once or, when it is
/// cancelled, never.
package actor Session: LoopActor {
  package nonisolated let loop: EventLoop
  let setup: SessionSetup
  /// Takes each message, on the loop.
  private let output: @Sendable ([UInt8]) -> Void
  private let opened: @Sendable () -> Void
  let subscriptions: ResourceSubscriptions
  /// What calls may use whose progress nobody asked for.
  let quietContext: CallContext
  var catalog: SessionCatalog { setup.catalog }

  /// The revision of the handshake; nil before it.
  var negotiated: Revision?
  /// The revision of the handshake; nil before it.
  package var negotiatedRevision: Revision? { negotiated }
  private var isOpen = false
  var pending = PendingCalls()
  var unread = UnreadRider()
  /// Built here and handed out whole, so that the buffer is kept from message to message.
  private var scratch = JSONWriter(capacity: 4096)
  /// The structured part of a tool's result, which goes out twice.
  var structured = JSONWriter(capacity: 1024)
  private let idle: Waiters<Void>

  /// Makes a session. `output` takes each message without its newline, on the loop; `opened` is called once, when the
  /// client has finished the handshake and may be sent notifications.
  package init(
    setup: SessionSetup, subscriptions: ResourceSubscriptions, opened: @escaping @Sendable () -> Void,
    output: @escaping @Sendable ([UInt8]) -> Void
  ) {
    loop = setup.hub.loop
    self.setup = setup
    self.subscriptions = subscriptions
    self.output = output
    self.opened = opened
    quietContext = CallContext(
      hub: setup.hub, inbox: setup.inbox, coordination: setup.coordination, isReporting: false,
      progress: { _, _, _ in })
    idle = Waiters(loop: loop)
  }

  // MARK: In

  /// Takes one line of input, on the loop.
  package func receive(_ line: [UInt8]) {
    let value: JSONSlice
    do throws(JSONError) {
      value = try JSONSlice(line, depth: setup.limits.jsonDepth, limit: setup.limits.lineBytes)
    } catch {
      return fail(RPCError(error), id: nil, batch: nil)
    }
    receive(value, over: nil)
  }

  /// Takes one message, or a batch, that is checked JSON; answers go over `path`.
  package func receive(_ value: JSONSlice, over path: (any ReplyPath)?) {
    if value.kind == .array { receiveBatch(value, path) } else { receive(value, batch: nil, path) }
  }

  /// Takes note of a line that was over the limit and skipped.
  package func receiveOverlong() {
    let limit = setup.limits.lineBytes
    fail(RPCError(.invalidRequest, "Invalid request: a line has at most \(limit) bytes"), id: nil, batch: nil)
  }

  /// Batches exist in revision 2025-03-26 alone.
  private func receiveBatch(_ value: JSONSlice, _ path: (any ReplyPath)?) {
    guard negotiated == .march2025 else {
      let error = RPCError(.invalidRequest, "Invalid request: batches are not supported")
      return fail(error, id: nil, batch: nil, path)
    }
    let batch = Batch(
      send: { [output] message in if let path { path.answer(message, failure: nil) } else { output(message) } },
      nothing: { path?.cancelled() })
    var isEmpty = true
    for element in value.elements {
      isEmpty = false
      receive(element, batch: batch, path)
    }
    if isEmpty { fail(RPCError(.invalidRequest, "Invalid request: empty batch"), id: nil, batch: nil, path) }
    batch.seal()
  }

  private func receive(_ value: JSONSlice, batch: Batch?, _ path: (any ReplyPath)?) {
    switch Incoming(value) {
    case .response: break
    case .notification(let method, let params): notice(method, params)
    case .invalid(let error, let id):
      batch?.expect()
      fail(error, id: id, batch: batch, path)
    case .request(let id, let method, let params):
      batch?.expect()
      do throws(RPCError) {
        try request(id, method, params, batch, path)
      } catch {
        fail(error, id: id, batch: batch, path)
      }
    }
  }

  private func request(
    _ id: RequestID, _ name: JSONSlice, _ params: JSONSlice?, _ batch: Batch?, _ path: (any ReplyPath)?
  ) throws(RPCError) {
    guard !pending.contains(id) else {
      throw RPCError(.invalidRequest, "Invalid request: this id is in use by a call that is not answered yet")
    }
    guard let method = Method(name), !(setup.isChannel && method == .discover) else {
      throw RPCError(.methodNotFound, "Method not found")
    }
    guard params == nil || params?.kind == .object else {
      throw RPCError(.invalidParams, "Invalid params: \"params\" must be an object")
    }
    if method == .initialize {
      guard batch == nil else {
        throw RPCError(.invalidRequest, "Invalid request: initialize cannot be part of a batch")
      }
      return try initialize(id, params, path)
    }
    let params = Call.Params(params)
    let revision = try revision(of: params.meta, for: method)
    guard method.exists(in: revision) else {
      throw RPCError(.methodNotFound, "Method not found in revision \(revision.rawValue)")
    }
    try dispatch(method, Call(id: id, revision: revision, params: params, batch: batch, path: path))
  }

  private func dispatch(_ method: Method, _ call: Call) throws(RPCError) {
    switch method {
    case .callTool: try callTool(call)
    case .initialize: break
    case .discover: discover(call)
    case .ping: respond(call) { _ in }
    case .listTools: try list(catalog.toolList, call)
    case .listResources: try list(catalog.resourceList, call)
    case .listTemplates: try list(catalog.templateList, call)
    case .listPrompts: try list(catalog.promptList, call)
    case .readResource: try readResource(call)
    case .subscribe: try subscribe(call)
    case .unsubscribe: try unsubscribe(call)
    case .listen: try listen(call)
    case .getPrompt: try getPrompt(call)
    case .complete: try complete(call)
    case .getTask: try getTask(call)
    case .updateTask, .cancelTask: try acknowledgeTask(call)
    }
  }

  private func notice(_ method: JSONSlice, _ params: JSONSlice?) {
    if method.isString("notifications/cancelled") {
      guard let id = params?.member("requestId").flatMap(RequestID.init) else { return }
      cancel(id)
    } else if method.isString("notifications/claude/channel/permission_request") {
      if isOpen, let request = params.flatMap({ PermissionRequest(params: $0) }) { setup.asked?(request) }
    } else if method.isString("notifications/initialized"), negotiated != nil, !isOpen {
      isOpen = true
      opened()
    }
  }

  private func list(_ listing: Listing, _ call: Call) throws(RPCError) {
    let start = try listing.start(of: call.param("cursor"))
    respond(call, cachedFor: 60_000) { listing.write(from: start, into: &$0) }
  }

  // MARK: Calls that take time

  /// Runs `work` as a task and answers with what it writes.
  func start(
    _ call: Call, _ work: @escaping @Sendable (isolated Session, _ serial: UInt64) async -> Void
  ) throws(RPCError) {
    try checkRoom()
    let serial = pending.nextSerial()
    TraceContext.during(call.trace) {
      pending.insert(call, serial: serial, .task(loop.spawn { await work(self, serial) }))
    }
  }

  /// Throws when too many calls are not answered yet.
  func checkRoom() throws(RPCError) {
    setup.called?()
    guard pending.count < setup.limits.pendingCalls else {
      throw RPCError(.tooManyCalls, "Too many calls: \(setup.limits.pendingCalls) are not answered yet")
    }
  }

  /// Answers a call that runs as a task; nothing is sent when it was cancelled meanwhile.
  func finish(_ call: Call, _ serial: UInt64, cachedFor ttl: Int? = nil, _ body: @Sendable (inout JSONWriter) -> Void) {
    guard pending.remove(call.id, serial: serial) else { return }
    respond(call, cachedFor: ttl, body)
    callEnded()
  }

  /// Answers a call that runs as a task with an error.
  func finish(_ call: Call, _ serial: UInt64, _ error: RPCError) {
    guard pending.remove(call.id, serial: serial) else { return }
    fail(error, id: call.id, batch: call.batch, call.path)
    callEnded()
  }

  /// A call was answered or cancelled.
  func callEnded() {
    if !pending.hasWork { idle.resumeAll(()) }
  }

  private func cancel(_ id: RequestID) {
    guard let cancelled = pending.remove(id) else { return }
    cancelled.cancel()
    subscriptions.remove(.listener(id))
    give(up: cancelled.call)
    callEnded()
  }

  /// A call will not be answered.
  private func give(up call: Call) {
    if let batch = call.batch { batch.add(nil) } else { call.path?.cancelled() }
  }

  /// Waits until every call is answered, at most until `deadline`; listening does not count.
  package func settle(until deadline: LoopInstant) async {
    while pending.hasWork {
      guard case .value = await idle.wait(idle.ticket(), until: deadline) else { return }
    }
  }

  /// Ends the session: listeners are told, calls are cancelled without an answer.
  package func end() {
    for entry in pending.removeAll() {
      entry.cancel()
      guard entry.isListening else {
        give(up: entry.call)
        continue
      }
      subscriptions.remove(.listener(entry.call.id))
      notify("notifications/cancelled", over: entry.call.path) { line in
        line.key("requestId")
        line.raw(entry.call.id.slice)
        line.member("reason", "the server ends")
      }
      answerListener(entry.call)
    }
    subscriptions.remove(.session)
  }

  // MARK: Out

  /// Sends a result; `body` writes its members. Stateless revisions get what they ask of every result.
  func respond(
    _ call: Call, resultType: String = "complete", cachedFor ttl: Int? = nil,
    meta: ((inout JSONWriter) -> Void)? = nil, _ body: (inout JSONWriter) -> Void
  ) {
    scratch.removeAll()
    scratch.response(to: call.id) { result in
      result.beginObject()
      if call.isModern { result.member("resultType", resultType) }
      body(&result)
      if call.isModern, let ttl {
        result.key("ttlMs")
        result.int(ttl)
        result.member("cacheScope", "private")
      }
      if call.isModern || meta != nil {
        result.key("_meta")
        result.beginObject()
        meta?(&result)
        if call.isModern {
          result.key("io.modelcontextprotocol/serverInfo")
          setup.writeServerInfo(into: &result)
        }
        result.endObject()
      }
      result.endObject()
    }
    deliver(batch: call.batch, call.path)
  }

  func fail(_ error: RPCError, id: RequestID?, batch: Batch?, _ path: (any ReplyPath)? = nil) {
    scratch.removeAll()
    scratch.error(error, to: id)
    deliver(batch: batch, path, failure: error.code.rawValue)
  }

  /// Sends a notification, over the path of the call that it belongs to; `params` writes the members of its params.
  func notify(_ method: String, over path: (any ReplyPath)?, _ params: (inout JSONWriter) -> Void) {
    scratch.removeAll()
    scratch.notification(method, params)
    if let path { path.tell(scratch.bytes) } else { output(scratch.bytes) }
  }

  private func deliver(batch: Batch?, _ path: (any ReplyPath)?, failure: Int? = nil) {
    if let batch {
      batch.add(scratch.bytes)
    } else if let path {
      path.answer(scratch.bytes, failure: failure)
    } else {
      output(scratch.bytes)
    }
  }
}
