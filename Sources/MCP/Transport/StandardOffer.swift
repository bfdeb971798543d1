extension StandardTools {
  /// What `tools:` in the configuration may name: each tool by its name, or without `parley_`, and the sets of further
  /// ones.
  package static var configurableNames: [String] {
    all.flatMap { [$0.name, shortName(of: $0)] } + further.map(\.name)
  }

  fileprivate static func shortName(of tool: any Tool) -> String {
    tool.name.hasPrefix("parley_") ? String(tool.name.dropFirst(7)) : tool.name
  }
}

extension StdioServer.Offer {
  /// The standard tools, resources and prompts; of the tools only the named ones, where any are named, and the further
  /// ones of the sets that are.
  package static func standard(_ names: [String] = [], compat: CompatOptions = CompatOptions()) -> Self {
    let sets = StandardTools.further.filter { names.contains($0.name) }
    let single = names.filter { name in !sets.contains { $0.name == name } }
    let standard = StandardTools.all.filter {
      single.isEmpty || single.contains($0.name) || single.contains(StandardTools.shortName(of: $0))
    }
    let tools = standard + sets.flatMap(\.tools)
    var offer = Self(
      tools: tools, resources: CombinedResources(TopicResources(), TaskResources()), prompts: StandardPrompts())
    offer.compat = compat
    return offer
  }
}
