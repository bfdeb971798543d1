import ParleyRuntime

/// What a session offers, made once and shared by all sessions of a process.
package final class SessionCatalog: Sendable {
  let tools: [String: OfferedTool]
  let toolList: Listing
  let resourceList: Listing
  let templateList: Listing
  let promptList: Listing
  /// What arguments can be completed for: names of prompts, URIs of resources and templates.
  let completable: (prompts: Set<String>, resources: Set<String>)

  init(
    tools all: [any Tool], resources: (any ResourceProvider)?, prompts: (any PromptProvider)?, for hub: Hub.Setup
  ) {
    tools = Dictionary(all.map { ($0.name, OfferedTool($0)) }) { first, _ in first }
    let resourceEntries = resources?.resources(for: hub) ?? []
    let templates = resources?.templates(for: hub) ?? []
    let promptEntries = prompts?.prompts(for: hub) ?? []
    toolList = Listing("tools", all.map { $0.definition(for: hub) })
    resourceList = Listing("resources", resourceEntries)
    templateList = Listing("resourceTemplates", templates)
    promptList = Listing("prompts", promptEntries)
    completable = (
      Set(Self.texts("name", of: promptEntries)),
      Set(Self.texts("uri", of: resourceEntries)).union(Self.texts("uriTemplate", of: templates))
    )
  }

  /// A member of each of these JSON objects.
  private static func texts(_ member: String, of objects: [String]) -> [String] {
    objects.compactMap { (try? JSONSlice($0))?.member(member)?.string }
  }
}

/// A tool that can be called.
struct OfferedTool: Sendable {
  let tool: any Tool
  /// The tool where it answers without a task; asked for once, since a cast takes longer than many a call.
  let replying: (any ReplyingTool)?

  init(_ tool: any Tool) {
    self.tool = tool
    replying = tool as? any ReplyingTool
  }
}
