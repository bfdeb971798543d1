import ParleyRuntime

@testable import ParleyMCP

extension Tool {
  func definition(for hub: Hub.Setup) -> String {
    #"{"name":"\#(name)","description":"for tests","inputSchema":{"type":"object"}}"#
  }
}

private func members(_ body: (inout JSONWriter) -> Void) -> ToolOutcome {
  var writer = JSONWriter()
  body(&writer)
  return .success(members: writer.bytes)
}

/// Gives back `text`, or `bytes` bytes of text.
struct EchoTool: Tool {
  let name = "echo"
  func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    if let bytes = arguments.member("bytes")?.int {
      return members { $0.member("echo", String(repeating: "x", count: Int(bytes))) }
    }
    guard let text = arguments.member("text")?.string else {
      return .failure(.badArgument(name: "text", reason: "must be a string"))
    }
    return members { $0.member("echo", text) }
  }
}

struct PostTool: Tool {
  let name = "post"
  func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    let request = PostRequest(
      topic: Topic(arguments.member("topic")?.string ?? "general"), content: arguments.member("content")?.string ?? "")
    do throws(HubError) {
      let receipt = try await context.hub.post(request)
      return members { $0.member("id", receipt.id.text) }
    } catch {
      return .failure(error)
    }
  }
}

struct FetchTool: Tool {
  let name = "fetch"
  func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    let request = FetchRequest(Topic(arguments.member("topic")?.string ?? "general"))
    do throws(HubError) {
      let page = try await context.hub.fetch(request)
      await context.inbox.noteGiven(page, of: request)
      return members { writer in
        writer.key("messages")
        writer.beginArray()
        for message in page.messages { writer.string(message.content) }
        writer.endArray()
      }
    } catch {
      return .failure(error)
    }
  }
}

/// Waits until it is cancelled.
struct HangTool: Tool {
  let name = "hang"
  func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    await context.hub.loop.sleep(for: .seconds(3600))
    return members { $0.member("ended", "cancelled") }
  }
}

/// Reports progress 1, 3, 2, 3, 4, then after its end once more.
struct StepsTool: Tool {
  let name = "steps"
  func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    for step in [1.0, 3, 2, 3, 4.5] { context.progress(step, 10, "step \(step)") }
    context.hub.loop.schedule(after: .milliseconds(1)) { context.progress(9, 10, "late") }
    return members { $0.member("done", "yes") }
  }
}

/// One resource per topic.
struct TestResources: ResourceProvider {
  func resources(for hub: Hub.Setup) -> [String] {
    hub.topics.map { #"{"uri":"parley://topic/\#($0.name)","name":"\#($0.name)"}"# }
  }
  func templates(for hub: Hub.Setup) -> [String] { [#"{"uriTemplate":"parley://topic/{name}","name":"topic"}"#] }
  func read(_ uri: String, in context: CallContext) async -> ResourceOutcome {
    guard topic(of: uri, for: context.hub.setup) != nil else { return .notFound }
    return .contents(Array(#"[{"uri":"\#(uri)","text":"hello"}]"#.utf8))
  }
  func topic(of uri: String, for hub: Hub.Setup) -> Topic? {
    hub.topics.first { "parley://topic/" + $0.name == uri }
  }
}

struct TestPrompts: PromptProvider {
  func prompts(for hub: Hub.Setup) -> [String] { [#"{"name":"catch_up"}"#] }
  func get(_ name: String, _ arguments: JSONSlice?, in context: CallContext) async -> PromptOutcome {
    guard name == "catch_up" else { return .notFound }
    return .success(members: Array(#""messages":[{"role":"user","content":{"type":"text","text":"hi"}}]"#.utf8))
  }
}
