import ParleyRuntime

extension Session {
  func readResource(_ call: Call) throws(RPCError) {
    let uri = try uri(of: call)
    guard let resources = setup.resources else { throw notFound(uri, call) }
    try start(call) { session, serial in
      let context = session.context(for: call, serial, reportsProgress: true)
      switch await resources.read(uri, in: context) {
      case .contents(let contents): session.finishRead(call, serial, contents)
      case .notFound: session.finish(call, serial, session.notFound(uri, call))
      // As with `resources/subscribe`: what may not be read is not there.
      case .failure(.topicNotAllowed): session.finish(call, serial, session.notFound(uri, call))
      case .failure(let error): session.finish(call, serial, RPCError(error))
      }
    }
  }

  private func finishRead(_ call: Call, _ serial: UInt64, _ contents: [UInt8]) {
    finish(call, serial, cachedFor: 0) { result in
      result.key("contents")
      result.raw(trusted: contents)
    }
  }

  func subscribe(_ call: Call) throws(RPCError) {
    let uri = try uri(of: call)
    guard let topic = setup.resources?.topic(of: uri, for: setup.hub.setup) else { throw notFound(uri, call) }
    guard subscriptions.add(uri, of: topic, for: .session, limit: setup.limits.topicsSubscribed) else {
      throw RPCError(.invalidParams, "Too many subscriptions: at most \(setup.limits.topicsSubscribed)")
    }
    respond(call) { _ in }
  }

  func unsubscribe(_ call: Call) throws(RPCError) {
    subscriptions.remove(.session, uri: try uri(of: call))
    respond(call) { _ in }
  }

  /// Acknowledges what of the wishes can be held (our lists never change), and tells changes until cancelled.
  func listen(_ call: Call) throws(RPCError) {
    guard let wishes = call.param("notifications"), wishes.kind == .object else {
      throw RPCError(.invalidParams, "Invalid params: \"notifications\" must be an object")
    }
    let uris = wishes.member("resourceSubscriptions")
    guard uris == nil || uris?.kind == .array else {
      throw RPCError(.invalidParams, "Invalid params: \"resourceSubscriptions\" must be an array")
    }
    let handles = try taskHandles(wishes.member("taskIds"), call)
    guard pending.count < setup.limits.pendingCalls else {
      throw RPCError(.tooManyCalls, "Too many calls: \(setup.limits.pendingCalls) are not answered yet")
    }
    let wished = uris?.elements.compactMap(\.string) ?? []
    let serial = pending.nextSerial()
    guard !handles.isEmpty else {
      pending.insert(call, serial: serial, .listening(nil))
      return acknowledge(call, wished, [])
    }
    // Which of the tasks there are is known behind a look at their topics.
    let watching = loop.spawn { await self.watch(call, handles, besides: wished) }
    pending.insert(call, serial: serial, .listening(watching))
  }

  /// Says what of the wishes is held, which is the first that a listener hears, and holds it.
  func acknowledge(_ call: Call, _ uris: [String], _ handles: [TaskHandle]) {
    var honoured: [String] = []
    for uri in uris {
      guard let topic = setup.resources?.topic(of: uri, for: setup.hub.setup),
        subscriptions.add(uri, of: topic, for: .listener(call.id), limit: setup.limits.topicsSubscribed)
      else { continue }
      honoured.append(uri)
    }
    notify("notifications/subscriptions/acknowledged", over: call.path) { line in
      line.key("notifications")
      line.beginObject()
      if !honoured.isEmpty { line.strings("resourceSubscriptions", honoured) }
      if !handles.isEmpty { line.strings("taskIds", handles.map(\.text)) }
      line.endObject()
      line.subscriptionMeta(call.id)
    }
  }

  /// Ends a `subscriptions/listen` from our side.
  func answerListener(_ call: Call) {
    respond(
      call,
      meta: { meta in
        meta.key("io.modelcontextprotocol/subscriptionId")
        meta.raw(call.id.slice)
      }
    ) { _ in }
  }

  private func uri(of call: Call) throws(RPCError) -> String {
    guard let uri = call.param("uri")?.string else {
      throw RPCError(.invalidParams, "Invalid params: \"uri\" must be a string")
    }
    return uri
  }

  private nonisolated func notFound(_ uri: String, _ call: Call) -> RPCError {
    var data = JSONWriter()
    data.member("uri", uri)
    return RPCError(call.isModern ? .invalidParams : .resourceNotFound, "Resource not found", data: data.bytes)
  }
}

extension RPCError {
  /// What the backend or the rules say, where no tool result can.
  init(_ error: HubError) {
    switch error {
    case .topicNotAllowed, .handleNotAllowed, .overLimit, .badArgument, .refused:
      self.init(.invalidParams, error.description)
    case .seam: self.init(.internalError, error.description)
    }
    var data = JSONWriter()
    data.member("code", error.code)
    self.data = data.bytes
  }
}
