import ParleyCoordination
import ParleyRuntime

/// What one session is made of.
package struct SessionSetup: Sendable {
  /// What clients see as the server's name and version.
  package var name: String
  package var version: String
  /// The session is a Claude Code channel: the handshake revisions alone are spoken, since channels need one.
  package var isChannel: Bool
  /// What the model is told beside the standard instructions.
  package var moreInstructions = ""
  private let tools: [any Tool]
  let catalog: SessionCatalog
  package var resources: (any ResourceProvider)?
  package var prompts: (any PromptProvider)?
  package var hub: Hub
  package var inbox: Inbox
  package var coordination: Coordination
  /// Takes what the client asks leave for, on the loop; nil where nobody can be asked.
  package var asked: (@Sendable (PermissionRequest) -> Void)?
  /// Told of every call that the conversation is needed for, on the loop; nil where nobody waits for the first.
  package var called: (@Sendable () -> Void)?

  package init(
    name: String, version: String, isChannel: Bool, tools: [any Tool], resources: (any ResourceProvider)?,
    prompts: (any PromptProvider)?, hub: Hub, inbox: Inbox,
    coordination: Coordination
  ) {
    self.name = name
    self.version = version
    self.isChannel = isChannel
    self.tools = tools
    catalog = SessionCatalog(tools: tools, resources: resources, prompts: prompts, for: hub.setup)
    self.resources = resources
    self.prompts = prompts
    self.hub = hub
    self.inbox = inbox
    self.coordination = coordination
  }

  /// The same with these tools beside its own.
  package func offering(_ further: [any Tool]) -> SessionSetup {
    var setup = SessionSetup(
      name: name, version: version, isChannel: isChannel, tools: tools + further, resources: resources,
      prompts: prompts, hub: hub, inbox: inbox, coordination: coordination)
    setup.moreInstructions = moreInstructions
    setup.asked = asked
    setup.called = called
    return setup
  }

  var limits: Limits { hub.setup.limits }

  /// Whether a message, or one of a batch, calls a tool that may post; one that nobody knows counts.
  package func posts(_ message: JSONSlice) -> Bool {
    if message.kind == .array { return message.elements.contains(where: posts) }
    guard case .request(_, let method, let params) = Incoming(message), Method(method) == .callTool,
      let name = params?.member("name")?.string
    else { return false }
    return catalog.tools[name]?.tool.onlyReads != true
  }

  /// The revisions this session can speak, newest first.
  var revisions: [Revision] { Revision.allCases.reversed().filter { !isChannel || !$0.isModern } }

  /// Writes the `capabilities` member.
  func writeCapabilities(for revision: Revision, into writer: inout JSONWriter) {
    func empty(_ name: String) {
      writer.key(name)
      writer.beginObject()
      writer.endObject()
    }
    writer.key("capabilities")
    writer.beginObject()
    empty("tools")
    if resources != nil {
      writer.key("resources")
      writer.beginObject()
      writer.key("subscribe")
      writer.bool(true)
      writer.endObject()
    }
    if prompts != nil { empty("prompts") }
    if revision >= .march2025 { empty("completions") }
    if revision.isModern {
      writer.key("extensions")
      writer.beginObject()
      empty(TaskHandle.extensionName)
      writer.endObject()
    }
    if isChannel {
      writer.key("experimental")
      writer.beginObject()
      empty("claude/channel")
      if asked != nil { empty("claude/channel/permission") }
      writer.endObject()
    }
    writer.endObject()
  }

  /// Writes an object of name, title and version.
  func writeServerInfo(into writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("name", name)
    writer.member("title", "Parley")
    writer.member("version", version)
    writer.endObject()
  }
}
