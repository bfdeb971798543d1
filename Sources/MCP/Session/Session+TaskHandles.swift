import ParleyCoordination
import ParleyRuntime

extension Call {
  /// The client understands a handle instead of an answer: it says so with every request.
  var takesTaskHandles: Bool {
    let capabilities = isModern ? param("_meta")?.member(MetaKey.clientCapabilities) : nil
    return capabilities?.member("extensions")?.member(TaskHandle.extensionName)?.kind == .object
  }
}

extension Session {
  /// Answers a `parley_wait` for tasks with a handle; false where it is to be answered as any call: all are over, the
  /// caller said how long it waits, or something is wrong with it.
  func answerWithHandle(
    _ call: Call, _ serial: UInt64, _ tool: any Tool, _ arguments: JSONSlice, in context: CallContext
  ) async -> Bool {
    guard call.takesTaskHandles, let tool = tool as? WaitTool, let state = await tool.handle(arguments, in: context)
    else { return false }
    guard pending.remove(call.id, serial: serial) else { return true }
    let bytes = setup.limits.resultBytes
    respond(call, resultType: "task") { state.write(into: &$0, bytes: bytes) }
    callEnded()
    return true
  }

  /// `tasks/get`: how far it has come, with the answer where there is one.
  func getTask(_ call: Call) throws(RPCError) {
    let bytes = setup.limits.resultBytes
    try withHandle(call) { state, result in state.write(into: &result, bytes: bytes) }
  }

  /// `tasks/update` and `tasks/cancel`: nothing is ever asked of the client, and nothing runs that could be stopped.
  func acknowledgeTask(_ call: Call) throws(RPCError) { try withHandle(call) { _, _ in } }

  /// Looks at the tasks of the handle that the params name.
  private func withHandle(
    _ call: Call, _ write: @escaping @Sendable (TaskHandleState, inout JSONWriter) -> Void
  ) throws(RPCError) {
    guard call.takesTaskHandles else { throw .missingExtension(TaskHandle.extensionName) }
    guard let handle = call.param("taskId")?.string.flatMap(TaskHandle.init) else {
      throw RPCError(.invalidParams, "Invalid params: \"taskId\" names no task")
    }
    try start(call) { session, serial in
      let context = await session.context(for: call, serial, reportsProgress: false)
      do throws(HubError) {
        let state = try await WaitTool.state(of: handle, in: context)
        await session.finish(call, serial) { write(state, &$0) }
      } catch {
        await session.finish(call, serial, RPCError(error))
      }
    }
  }
}

extension RPCError {
  /// The request needs an extension that the client did not declare with it.
  static func missingExtension(_ name: String) -> RPCError {
    var data = JSONWriter()
    data.key("requiredCapabilities")
    data.beginObject()
    data.key("extensions")
    data.beginObject()
    data.key(name)
    data.beginObject()
    data.endObject()
    data.endObject()
    data.endObject()
    return RPCError(.missingCapability, "Missing required client capability", data: data.bytes)
  }
}
