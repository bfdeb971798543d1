import ArgumentParser
import ParleyConfiguration
import ParleyMCP
import ParleyRuntime

/// `parley unregister`: tells the partners of the tool set duo that one of them is gone, as a client's Stop hook does.
struct UnregisterCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unregister", abstract: "Tell the partners of the tool set duo that one of them is gone.",
    discussion: "Meant for a client's Stop hook. A listening call of that partner ends.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The partner's id (default: $PARTNER_ID, then the folder's).")
  var id: String?

  func run() throws {
    let id = id ?? Duo.Options.id(in: .process)
    try session.run { room in
      let topic = Topic(room.configuration.compat.options.block("duo").string("topic"))
      let isGone = try await Duo.unregister(id, hub: room.hub, topic: topic)
      room.output.line(isGone ? "\(id) is unregistered" : "\(id) was not registered")
      room.output.object { writer in
        writer.key("partner")
        writer.string(id)
        writer.key("unregistered")
        writer.bool(isGone)
      }
    }
  }
}
