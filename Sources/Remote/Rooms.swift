import ParleyCoordination
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
    let participant = try Participant(setup: setup, supervisor: supervisor, options: options)
    var sessionSetup = own.setup
    sessionSetup.hub = participant.hub
    sessionSetup.inbox = participant.inbox
    sessionSetup.coordination = participant.coordination
    let room = Room(participant: participant, setup: sessionSetup)
    others[handle] = room
    if isStarted { participant.start() }
    return room
  }

  private var all: [Room] { [own] + others.values }

  func start() {
    isStarted = true
    for room in all { room.participant.start() }
  }

  /// Stops them; the tasks that then end.
  func stop() -> [Task<Void, Never>] { all.compactMap { $0.participant.stop() } }

  /// Ends a session's inbox, whosever it is.
  func end(_ inbox: Inbox) { for room in all { room.participant.end(inbox) } }
}
