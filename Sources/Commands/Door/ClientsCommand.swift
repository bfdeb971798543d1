import ArgumentParser
import ParleyConfiguration
import ParleyRuntime

/// `parley clients`: the programs that the owner let in by the consent page.
struct ClientsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clients", abstract: "List and revoke the programs that were let in by the consent page.",
    subcommands: [ListCommand.self, RevokeCommand.self])

  /// `parley clients list`.
  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List them, with what each may do and as whom.")

    @OptionGroup var door: DoorOptions

    func run() throws {
      let (keys, configuration, output) = try door.open()
      for client in try keys.clients(configuration) {
        let consents = client.consents.map { consent in
          "\(consent.scopes) as \(VisibleText.visible(consent.handle.name, keepsLines: false))"
        }
        output.line(
          "\(client.id)  \(VisibleText.visible(client.name, keepsLines: false)) (\(client.kind))  "
            + (consents.isEmpty ? "no consent" : consents.joined(separator: ", "))
            + "  last used \(DoorOptions.day(client.lastUse))")
        output.object { writer in
          writer.member("id", client.id)
          writer.member("name", client.name)
          writer.member("kind", client.kind)
          writer.key("consents")
          writer.beginArray()
          for consent in client.consents {
            writer.beginObject()
            writer.member("scopes", consent.scopes)
            writer.member("handle", consent.handle.name)
            writer.endObject()
          }
          writer.endArray()
          writer.key("lastUse")
          writer.int(client.lastUse)
        }
      }
    }
  }

  /// `parley clients revoke`.
  struct RevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "revoke", abstract: "Take back every consent for a program, and all its tokens.")

    @OptionGroup var door: DoorOptions

    @Argument(help: "The id that clients list shows.")
    var id: String

    func run() throws {
      let (keys, configuration, output) = try door.open()
      guard try keys.revokeClient(configuration, id) else {
        throw CommandFailure(.usage, code: "usage", "there is no client '\(id)'; see 'parley clients list'")
      }
      output.line("client \(id) is revoked")
      output.object { $0.member("revoked", id) }
    }
  }
}
