import ParleyCommands
import ParleyMatrix
import ParleyRuntime

extension BackendPlugin {
  /// Matrix: people in their own clients beside the agents.
  static let matrix = BackendPlugin(
    description: MatrixOptions.description,
    make: { loop, settings throws(SeamError) in MatrixBackend(loop: loop, options: try MatrixOptions(settings)) },
    diagnose: { settings, topics in await MatrixDiagnosis.findings(settings, topics) },
    people: DemoPeople(
      configuration: { accounts, guest in
        var settings: JSONObject = [
          "homeserver_url": .string(accounts.url ?? MatrixPerson.defaultURL), "user": .string(accounts.agents),
          "invite": [.string(guest)], "handles": [DemoPeople.handle(of: guest): .string(guest)],
        ]
        if let path = accounts.authorities { settings["ca_file"] = .string(path) }
        return settings
      }, person: { MatrixPerson(loop: $0, accounts: $1, password: $2) }),
    versions: [("libcurl", MatrixInspection.libraryVersion)])
}
