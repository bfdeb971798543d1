import ArgumentParser
import Glibc
import ParleyConfiguration
import ParleyCoordination
import ParleyRuntime

/// `parley approve`: answers what a session asks leave for.
struct ApproveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "approve", abstract: "Answer what a session asks leave for; without a code, list what waits.",
    discussion: """
      Uses approvals of the configuration: the topic, and the secret that proves the verdict. You must be one of the \
      approvers (--as). On Matrix and XMPP answer from your chat client instead: there the account is the proof.
      """)

  @OptionGroup var session: SessionOptions

  @Argument(help: "The five letters of the request.")
  var code: String?

  @Flag(help: "Deny it.")
  var deny = false

  func validate() throws {
    if let code, !PermissionRequest.isCode(code.lowercased()) {
      throw ValidationError("A code has five letters, a to z without l.")
    }
    guard code != nil || !deny else { throw ValidationError("--deny needs the code.") }
  }

  func run() throws {
    let (code, deny) = (code, deny)
    try session.run { room in
      guard let rules = room.configuration.approvals?.rules else {
        throw CommandFailure(.configuration, code: "configuration", "the configuration has no approvals")
      }
      let desk = ApprovalDesk(hub: room.hub, rules: rules)
      guard let code else {
        for open in try await desk.open() { room.output.message(open.message) }
        return
      }
      let request = try await desk.answer(deny ? .deny : .allow, to: code)
      room.output.line("\(request.code) \(deny ? "denied" : "allowed")")
      room.output.object { writer in
        writer.member("code", request.code)
        writer.member("verdict", deny ? "deny" : "allow")
        writer.member("requestedBy", request.message.sender.name)
      }
    }
  }
}

extension Configuration.Approvals {
  /// The rules by which verdicts count.
  var rules: ApprovalRules {
    ApprovalRules(topic: topic, approvers: approvers, secret: secret, lifetime: lifetime)
  }
}

/// This machine's name.
enum HostName {
  static var own: String {
    var name = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&name, name.count - 1) == 0 else { return "unknown" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
