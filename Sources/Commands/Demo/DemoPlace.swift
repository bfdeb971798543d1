import ParleyConfiguration
import ParleyRuntime

/// Where the agents of a demo meet.
struct DemoPlace: Sendable {
  /// As `backend:` names it.
  let backend: String
  /// Nobody else's: a server is shared.
  let topic: String
  let isServer: Bool
  /// Who takes part beside the agents, where people can.
  let guest: Guest?
  private let settings: @Sendable (_ folder: String, _ guest: String) -> JSONObject

  /// The person of a demo, and how one is made.
  struct Guest: Sendable {
    let accounts: DemoAccounts
    let make: @Sendable (EventLoop) -> any DemoPerson
  }

  /// What agents find their password by, and what the person's is read from: not arguments, which everyone on the
  /// machine can see.
  static let agentsPassword = "PARLEY_DEMO_PASSWORD"
  static let personPassword = "PARLEY_DEMO_PERSON_PASSWORD"

  /// A fresh file.
  init() {
    backend = "sqlite"
    topic = "workshop"
    isServer = false
    guest = nil
    settings = { folder, _ in ["db_path": .string("\(folder)/parley.db")] }
  }

  /// A server. Throws where the backend is not known or has none, or an account is missing.
  init(
    backend name: String, url: String?, agents: String?, person: String?, authorities: String?
  ) throws(CommandFailure) {
    let plugin = try Launch.plugin(named: name)
    backend = plugin.description.name
    topic = "demo-" + UUIDv4.make().prefix(8)
    isServer = true
    if let people = plugin.people {
      guard let agents, let person else {
        throw Self.wrong("\(name) needs --agents and --person: the accounts of the two agents and of the person")
      }
      let accounts = DemoAccounts(url: url, agents: agents, person: person, authorities: authorities)
      guard Surroundings.process[Self.agentsPassword] != nil, let password = Surroundings.process[Self.personPassword]
      else {
        throw Self.wrong(
          "\(name) needs the passwords in the environment: \(Self.agentsPassword) (of \(agents)) and "
            + "\(Self.personPassword) (of \(person))")
      }
      guest = Guest(accounts: accounts) { people.person($0, accounts, password) }
      settings = { _, guest in
        var settings = people.configuration(accounts, guest)
        settings["password"] = .string("${\(Self.agentsPassword)}")
        return settings
      }
      return
    }
    guard let key = plugin.description.addressSetting else {
      throw Self.wrong("\(name) has no server that a demo could be pointed at")
    }
    guard agents == nil, person == nil, authorities == nil else {
      throw Self.wrong(
        "--agents, --person and --ca-file are for backends on which people have accounts, not for \(name)")
    }
    guest = nil
    settings = { _, _ in url.map { [key: .string($0)] } ?? [:] }
  }

  /// The `backend_config` of an agent whose files lie in `folder`.
  func backendConfiguration(in folder: String, guest: String) -> JSONObject { settings(folder, guest) }

  private static func wrong(_ text: String) -> CommandFailure { CommandFailure(.usage, code: "usage", text) }
}
