extension StdioServer.Offer {
  /// The standard tools, resources and prompts; of the tools only the named ones, where any are named.
  package static func standard(_ names: [String] = []) -> Self {
    let tools = StandardTools.all.filter { names.isEmpty || names.contains($0.name) }
    return Self(tools: tools, resources: TopicResources(), prompts: StandardPrompts())
  }
}
