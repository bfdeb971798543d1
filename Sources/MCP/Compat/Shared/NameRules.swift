import ParleyCoordination
import ParleyRuntime

/// Which names an agent may give itself: none that stands for nobody, that the configuration reserves for others, or
/// that somebody else goes by now.
package struct NameRules: Sendable {
  /// Names that a reader would take for a person, for everyone, or for the program itself.
  private static let reserved: Set<String> = ["human", "owner", "system", "all"]

  /// Whether a name stands for nobody.
  package static func isReserved(_ name: String) -> Bool { reserved.contains(name.lowercased()) }

  private let hub: Hub
  /// Names that the configuration gives a meaning: whose messages are pushed, who approves.
  private let guarded: Set<Handle>
  /// Whether a handle is somebody's whom the door knows.
  private let isKnown: @Sendable (Handle) -> Bool

  init(hub: Hub, guarded: Set<Handle>, isKnown: @escaping @Sendable (Handle) -> Bool = { _ in false }) {
    self.hub = hub
    self.guarded = guarded
    self.isKnown = isKnown
  }

  /// Throws why a text can be no name at all, whoever asks.
  func checkForm(_ name: String, _ argument: String) throws(Refusal) {
    guard name.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
      throw Refusal(422, "invalid_name", "\(argument) must not be blank")
    }
    guard VisibleText.visible(name, keepsLines: false) == name else {
      throw Refusal(422, "invalid_name", "\(argument) must not contain control or invisible characters")
    }
    let limit = hub.setup.limits.handleBytes
    guard name.utf8.count <= limit else {
      throw Refusal(422, "invalid_name", "\(argument) has at most \(limit) bytes, not \(name.utf8.count)")
    }
  }

  /// Throws why the participant may not go by a name, as far as can be told without asking anyone.
  func checkClaim(_ name: String, _ argument: String = "name") throws(Refusal) {
    try checkForm(name, argument)
    guard Handle(name) != hub.setup.author.handle else { return }
    guard !Self.isReserved(name), !guarded.contains(Handle(name)), !isKnown(Handle(name)) else {
      throw Refusal(403, "name_reserved", "the name '\(name)' is reserved; choose another")
    }
  }

  /// Throws where somebody else goes by the name now: another process's handle, or a person who spoke lately.
  func checkNobodyElse(_ name: String) async throws(Refusal) {
    guard Handle(name) != hub.setup.author.handle else { return }
    var query = RosterQuery()
    query.onlineOnly = true
    let reader = RosterReader(hub: hub, lifetime: hub.setup.presenceLifetime)
    let found = try await refusing { () throws(HubError) in try await reader.read(query).participants }
    guard !found.contains(where: { $0.handle == Handle(name) }) else {
      throw Refusal(403, "name_in_use", "the name '\(name)' is somebody else's; choose another")
    }
  }
}
