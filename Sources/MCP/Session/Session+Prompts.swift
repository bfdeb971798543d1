import ParleyRuntime

extension Session {
  func getPrompt(_ call: Call) throws(RPCError) {
    guard let name = call.param("name")?.string else {
      throw RPCError(.invalidParams, "Invalid params: \"name\" must be a string")
    }
    guard let prompts = setup.prompts else { throw RPCError(.invalidParams, "Unknown prompt: \(name.prefix(128))") }
    let arguments = call.param("arguments")
    guard arguments == nil || arguments?.kind == .object else {
      throw RPCError(.invalidParams, "Invalid params: \"arguments\" must be an object")
    }
    try start(call) { session, serial in
      let context = session.context(for: call, serial, reportsProgress: true)
      switch await prompts.get(name, arguments, in: context) {
      case .success(let members): session.finish(call, serial) { $0.raw(trusted: members) }
      case .notFound:
        session.finish(call, serial, RPCError(.invalidParams, "Unknown prompt: \(name.prefix(128))"))
      case .badArguments(let reason):
        session.finish(call, serial, RPCError(.invalidParams, "Invalid params: \(reason)"))
      case .failure(let error): session.finish(call, serial, RPCError(error))
      }
    }
  }

  /// Completes topic names, the only thing that prompts and templates ask for.
  func complete(_ call: Call) throws(RPCError) {
    let kind = call.param("ref")?.member("type")
    let known: Set<String>
    let given: JSONSlice?
    if kind?.isString("ref/prompt") == true {
      (known, given) = (catalog.completable.prompts, call.param("ref")?.member("name"))
    } else if kind?.isString("ref/resource") == true {
      (known, given) = (catalog.completable.resources, call.param("ref")?.member("uri"))
    } else {
      throw RPCError(.invalidParams, "Invalid params: \"ref\" must be a prompt or a resource")
    }
    guard let given = given?.string, known.contains(given) else {
      throw RPCError(.invalidParams, "Invalid params: \"ref\" names no prompt or resource template of this server")
    }
    let argument = call.param("argument")
    guard let name = argument?.member("name")?.string, let typed = argument?.member("value")?.string else {
      throw RPCError(.invalidParams, "Invalid params: \"argument\" must have a name and a value")
    }
    let isTopic = name == "topic" || name == "name"
    let matches = isTopic ? setup.hub.setup.topics.map(\.name).filter { $0.hasPrefix(typed) } : []
    respond(call) { result in
      result.key("completion")
      result.beginObject()
      result.key("values")
      result.beginArray()
      for match in matches.prefix(100) { result.string(match) }
      result.endArray()
      result.key("total")
      result.int(matches.count)
      result.key("hasMore")
      result.bool(matches.count > 100)
      result.endObject()
    }
  }
}
