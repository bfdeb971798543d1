extension StandardTools {
  /// What `tools:` in the configuration may name: each tool by its name, or without `parley_`.
  package static var configurableNames: [String] { all.flatMap { [$0.name, shortName(of: $0)] } }

  fileprivate static func shortName(of tool: any Tool) -> String {
    tool.name.hasPrefix("parley_") ? String(tool.name.dropFirst(7)) : tool.name
  }
}

extension StdioServer.Offer {
  /// The standard tools, resources and prompts; of the tools only the named ones, where any are named.
  package static func standard(_ names: [String] = [], compat: CompatOptions = CompatOptions()) -> Self {
    let tools = StandardTools.all.filter {
      names.isEmpty || names.contains($0.name) || names.contains(StandardTools.shortName(of: $0))
    }
    var offer = Self(
      tools: tools, resources: CombinedResources(TopicResources(), TaskResources()), prompts: StandardPrompts())
    offer.compat = compat
    return offer
  }
}
