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
      for item in plugin.versions { output.line("\(plugin.description.name) \(item.name) \(item.version)") }
    }
    output.object { writer in
      writer.member("parley", ParleyVersion.text)
      writer.key("mcp")
      writer.beginArray()
      for version in Revision.allCases.map(\.rawValue) { writer.string(version) }
      writer.endArray()
      writer.key("backends")
      writer.beginObject()
      for plugin in Launch.plugins {
        writer.key(plugin.description.name)
        writer.beginObject()
        for item in plugin.versions { writer.member(item.name, item.version) }
        writer.endObject()
      }
      writer.endObject()
    }
  }
}
