import ArgumentParser
import ParleyMCP
import ParleyRuntime

/// `parley version`: what this binary is made of.
struct VersionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version", abstract: "Print the versions of Parley, its backends' libraries and MCP.")

  @OptionGroup var shared: SharedOptions

  func run() {
    let output = shared.output
    output.line("parley \(ParleyVersion.text)")
    output.line("MCP \(Revision.allCases.map(\.rawValue).joined(separator: ", "))")
    for plugin in Launch.plugins {
      for item in plugin.versions() { output.line("\(plugin.description.name) \(item.name) \(item.version)") }
    }
    let sibling = Launch.carried.sibling.map { name in (name: name, path: try? Siblings.path(of: name)) }
    if let sibling { output.line("\(sibling.name) \(sibling.path ?? "is not installed")") }
    output.object { writer in
      writer.member("parley", ParleyVersion.text)
      if let sibling {
        writer.key(sibling.name)
        if let path = sibling.path { writer.string(path) } else { writer.null() }
      }
      writer.key("mcp")
      writer.beginArray()
      for version in Revision.allCases.map(\.rawValue) { writer.string(version) }
      writer.endArray()
      writer.key("backends")
      writer.beginObject()
      for plugin in Launch.plugins {
        writer.key(plugin.description.name)
        writer.beginObject()
        for item in plugin.versions() { writer.member(item.name, item.version) }
        writer.endObject()
      }
      writer.endObject()
    }
  }
}
