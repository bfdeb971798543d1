import ParleyCommands
import ParleyRuntime
import ParleyXMPP

extension BackendPlugin {
  /// Rooms of an XMPP service, with people in their own clients.
  static let xmpp = BackendPlugin(
    description: XMPPOptions.description,
    make: { loop, settings throws(SeamError) in XMPPBackend(loop: loop, options: try XMPPOptions(settings)) },
    diagnose: { settings, topics in await XMPPDiagnosis.findings(settings, topics) },
    people: DemoPeople(
      configuration: { accounts, guest in
        var settings = XMPPPerson.settings(accounts, of: accounts.agents)
        settings["invite"] = [.string(guest)]
        settings["accounts"] = [.string("\(DemoPeople.handle(of: guest))=\(guest)")]
        return settings
      }, person: { XMPPPerson(loop: $0, accounts: $1, password: $2) }),
    versions: [("expat", XMPPOptions.libraryVersion)])
}
