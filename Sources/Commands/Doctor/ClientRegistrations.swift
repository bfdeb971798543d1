import CLinux
import Glibc
import ParleyConfiguration
import ParleyRuntime

/// Looks for Parley in the configuration files of the usual MCP clients.
struct ClientRegistrations {
  let surroundings: Surroundings

  private struct Client {
    let name: String
    let path: String
    /// Where servers are listed in a JSON file; nil for Codex' TOML.
    let key: String?
  }

  private var clients: [Client] {
    let (home, here) = (surroundings.home, surroundings.workingDirectory)
    return [
      Client(name: "Claude Code (project)", path: "\(here)/.mcp.json", key: "mcpServers"),
      Client(name: "Claude Code (user)", path: "\(home)/.claude.json", key: "mcpServers"),
      Client(name: "Codex", path: "\(home)/.codex/config.toml", key: nil),
      Client(name: "Cursor (project)", path: "\(here)/.cursor/mcp.json", key: "mcpServers"),
      Client(name: "Cursor (user)", path: "\(home)/.cursor/mcp.json", key: "mcpServers"),
      Client(name: "VS Code", path: "\(here)/.vscode/mcp.json", key: "servers"),
      Client(name: "Gemini CLI", path: "\(home)/.gemini/settings.json", key: "mcpServers"),
    ]
  }

  /// One finding per registration, or one note that there is none.
  func findings() -> [Finding] {
    let found = clients.flatMap { client in
      client.key.map { jsonFindings(client, key: $0) } ?? tomlFindings(client)
    }
    guard found.isEmpty else { return found }
    return [
      Finding(
        .note, "clients", "no MCP client on this machine or in this project knows Parley",
        fix: "for Claude Code: claude mcp add parley -- parley serve (README.md names the others)")
    ]
  }

  private func jsonFindings(_ client: Client, key: String) -> [Finding] {
    guard let bytes = TextFile.read(client.path) else { return [] }
    guard let file = try? JSONSlice(bytes) else {
      return [Finding(.warning, "clients", "\(client.name): \(client.path) is not JSON", fix: "mend the file")]
    }
    guard let servers = file.member(key) else { return [] }
    return servers.members.compactMap { server in
      guard let command = server.value.member("command")?.string, isParley(command) else { return nil }
      return judge(client, server: server.name, command: command)
    }
  }

  /// Codex' file is TOML: the `command` line of each `[mcp_servers.…]` table is all that is needed of it.
  private func tomlFindings(_ client: Client) -> [Finding] {
    guard let bytes = TextFile.read(client.path) else { return [] }
    var table = ""
    var findings: [Finding] = []
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let text = line.drop { $0 == " " || $0 == "\t" }
      if text.hasPrefix("[") { table = String(text.dropFirst().prefix { $0 != "]" }) }
      guard table.hasPrefix("mcp_servers."), text.hasPrefix("command") else { continue }
      let command = String(text.split(separator: "\"", omittingEmptySubsequences: false).dropFirst().first ?? "")
      if isParley(command) { findings.append(judge(client, server: String(table.dropFirst(12)), command: command)) }
    }
    return findings
  }

  private func isParley(_ command: String) -> Bool { command.split(separator: "/").last?.hasPrefix("parley") ?? false }

  private func judge(_ client: Client, server: String, command: String) -> Finding {
    let label = "\(client.name): server \"\(server)\" in \(client.path) runs \(command)"
    if command.contains("$") { return Finding(.ok, "clients", label) }
    let candidates =
      command.contains("/")
      ? [command] : (surroundings.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(command)" }
    if candidates.contains(where: { unsafe access($0, X_OK) == 0 }) { return Finding(.ok, "clients", label) }
    return Finding(
      .error, "clients", "\(label), which is not there or not executable",
      fix: "install Parley (make install) or give the full path")
  }
}

/// Small files that other programs keep.
package enum TextFile {
  /// The bytes of a file of at most 4 MiB, nil where it cannot be read.
  package static func read(_ path: String) -> [UInt8]? {
    let descriptor = unsafe parley_open(path, O_RDONLY | O_CLOEXEC, 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while bytes.count <= 4 << 20 {
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      if count == 0 { return bytes }
      guard count > 0 else { return nil }
      bytes += chunk[..<count]
    }
    return nil
  }
}
