import ArgumentParser
import ParleyConfiguration
import ParleyRuntime

/// `parley token`: bearer tokens for scripts and agents that enter by the HTTP door.
struct TokenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Make, list and revoke tokens for scripts and agents that enter by HTTP.",
    subcommands: [CreateCommand.self, ListCommand.self, RevokeCommand.self])

  /// `parley token create`.
  struct CreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "create", abstract: "Make a token, and print it once: only its digest is kept.")

    @OptionGroup var door: DoorOptions

    @Option(
      help:
        "What it may do: parley:read, parley:post (covers reading), parley:admin (metrics), parley:relay (backend: parley)."
    )
    var scope = "parley:post"

    @Option(help: "How long it counts: 30m, 12h, 90d, never.")
    var ttl = Lifetime(argument: "90d") ?? Lifetime.forever

    @Option(help: "The handle that its bearer posts as (default: identity.handle).")
    var handle: String?

    @Option(help: "What it is for, for lists.")
    var name = ""

    func run() throws {
      let (keys, configuration, output) = try door.open()
      let handle = handle.map(Handle.init)
      if let problem = handle?.problem(limit: configuration.limits.handleBytes) {
        throw ValidationError("--handle \(problem).")
      }
      guard name.utf8.count <= 128, VisibleText.visible(name, keepsLines: false) == name else {
        throw ValidationError("--name must be at most 128 bytes without control characters.")
      }
      let new = DoorKeys.NewToken(name: name, scopes: scope, handle: handle, lifetime: ttl.duration)
      guard let (secret, token) = try keys.createToken(configuration, new) else {
        throw ValidationError("--scope must be parley:read, parley:post, parley:admin or parley:relay, not '\(scope)'.")
      }
      output.line(secret)
      output.object { writer in
        writer.member("token", secret)
        token.write(into: &writer)
      }
      if !output.isJSON { output.note("token \(token.id): \(token.line); it is not shown again") }
    }
  }

  /// `parley token list`.
  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the tokens that count, without themselves.")

    @OptionGroup var door: DoorOptions

    func run() throws {
      let (keys, configuration, output) = try door.open()
      for token in try keys.tokens(configuration) {
        output.line("\(token.id)  \(token.line)")
        output.object { token.write(into: &$0) }
      }
    }
  }

  /// `parley token revoke`.
  struct RevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "revoke", abstract: "Take a token back; a running server knows at its next request.")

    @OptionGroup var door: DoorOptions

    @Argument(help: "The id that token list shows.")
    var id: String

    func run() throws {
      let (keys, configuration, output) = try door.open()
      guard try keys.revokeToken(configuration, id) else {
        throw CommandFailure(.usage, code: "usage", "there is no token '\(id)'; see 'parley token list'")
      }
      output.line("token \(id) is revoked")
      output.object { $0.member("revoked", id) }
    }
  }
}

extension Lifetime {
  static let forever = Lifetime(duration: nil)

  init(duration: Duration?) { self.duration = duration }

  var defaultValueDescription: String { "90d" }
}

extension DoorKeys.Token {
  fileprivate var line: String {
    let until = expires.map { "until \(DoorOptions.day($0))" } ?? "without an end"
    let purpose = name.isEmpty ? "" : "  (\(VisibleText.visible(name, keepsLines: false)))"
    return "\(scopes)  as \(handle.map { VisibleText.visible($0.name, keepsLines: false) } ?? "the server's handle")"
      + "  \(until)\(purpose)"
  }

  fileprivate func write(into writer: inout JSONWriter) {
    writer.member("id", id)
    writer.member("name", name)
    writer.member("scopes", scopes)
    if let handle { writer.member("handle", handle.name) }
    writer.key("created")
    writer.int(created)
    if let expires {
      writer.key("expires")
      writer.int(expires)
    }
  }
}
