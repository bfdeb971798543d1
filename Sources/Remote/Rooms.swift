import ParleyCoordination
import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// One participant as requests meet it.
struct Room {
  let participant: Participant
  /// For requests without a session.
  let setup: SessionSetup
}

/// The participants that the door speaks for: its own handle, and those that tokens name, each from its first request
/// on. Handles come from tokens that the owner made, so strangers cannot make this table grow. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class Rooms: @unchecked Sendable {
  let own: Room
  private let supervisor: Supervisor
  private let options: DoorOptions
  private var others: [Handle: Room] = [:]
  private var people: [Participant] = []
  private var isStarted = false

  init(
    setup: Hub.Setup, supervisor: Supervisor, offer: StdioServer.Offer, options: DoorOptions
  ) throws(HubError) {
    self.supervisor = supervisor
    self.options = options
    let participant = try Participant(setup: setup, supervisor: supervisor, options: options)
    own = Room(
      participant: participant,
      setup: SessionSetup(
        name: options.name, version: options.version, isChannel: false, tools: offer.tools,
        resources: offer.resources, prompts: offer.prompts, hub: participant.hub, inbox: participant.inbox,
        coordination: participant.coordination))
  }

  /// The room of a principal's handle.
  func room(of principal: Principal) throws(HubError) -> Room {
    guard let handle = principal.handle, handle != own.participant.hub.setup.author.handle else { return own }
    if let room = others[handle] { return room }
    var setup = own.participant.hub.setup
    setup.author = Author(handle: handle, instance: UUIDv4.make())
    var options = options
    options.importMarks = nil
    let participant = try Participant(setup: setup, supervisor: supervisor, options: options, party: .agent)
    var sessionSetup = own.setup
    sessionSetup.hub = participant.hub
    sessionSetup.inbox = participant.inbox
    sessionSetup.coordination = participant.coordination
    let room = Room(participant: participant, setup: sessionSetup)
    others[handle] = room
    if isStarted { participant.start() }
    return room
  }

  /// Whoever sent a request is there as long as that lasts, and a while longer.
  func note(_ exchange: HTTPExchange, of principal: Principal, isStream: Bool) {
    do throws(HubError) {
      try room(of: principal).participant.presence?.note(exchange, isStream: isStream)
    } catch {
      Log.write(.info, "presence was not announced", [("cause", error.description)])
    }
  }

  /// Says for all that they leave; waits for that at most so long.
  func leave(within patience: Duration) async {
    await withTaskGroup { group in
      for presence in all.compactMap(\.presence) { group.addTask { await presence.end(within: patience) } }
    }
  }

  /// A participant for a person in a browser, apart from agents whose tokens name the same handle: what a person says
  /// ends a row of messages that answer each other. Calls fail after `patience` where the backend is away.
  func addPerson(_ handle: Handle, patience: Duration) throws(HubError) -> Participant {
    var setup = own.participant.hub.setup
    setup.author = Author(handle: handle, instance: UUIDv4.make())
    setup.isPerson = true
    setup.patience = min(patience, setup.patience)
    var options = options
    options.importMarks = nil
    let participant = try Participant(setup: setup, supervisor: supervisor, options: options, party: .person)
    people.append(participant)
    if isStarted { participant.start() }
    return participant
  }

  private var all: [Participant] { [own.participant] + others.values.map(\.participant) + people }

  func start() {
    isStarted = true
    for participant in all { participant.start() }
  }

  /// Stops them; the tasks that then end.
  func stop() -> [Task<Void, Never>] { all.compactMap { $0.stop() } }

  /// Ends a session's inbox, whosever it is.
  func end(_ inbox: Inbox) { for participant in all { participant.end(inbox) } }
}
