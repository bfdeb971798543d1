import ParleyCoordination
import ParleyRuntime

/// Which channels there are: a fold over the directory's log, in the order in which they were first used.
struct BackchannelDirectory: TopicFold {
  /// One channel.
  struct Channel: Hashable, Sendable {
    var name: String
    /// Somebody posted a task there, so that there can be something to claim.
    var isClaimable: Bool
    /// Milliseconds since 1970 by the store's clock.
    var createdAt: Int64
  }

  /// Channels that are remembered; later ones are usable and not listed.
  static let capacity = 10_000
  static let kind = "channel.open"

  private(set) var channels: [Channel] = []
  private var places: [String: Int] = [:]

  init() {}

  /// The channel of this name.
  subscript(_ name: String) -> Channel? { places[name].map { channels[$0] } }

  /// The line and attributes of the event that a channel is in use.
  static func event(_ name: String, isClaimable: Bool) -> (content: String, attributes: Attributes) {
    (
      "channel \(name) (\(mode(isClaimable)))",
      ["kind": kind, "channel": name, "mode": mode(isClaimable)]
    )
  }

  static func mode(_ isClaimable: Bool) -> String { isClaimable ? "claimable" : "broadcast" }

  static func concerns(_ message: Message) -> Bool { message.kind == kind }

  @discardableResult
  mutating func apply(_ message: Message) -> Bool? {
    guard message.kind == Self.kind, let name = message.attributes["channel"], Backchannel.isName(name),
      let mode = message.attributes["mode"], mode == Self.mode(true) || mode == Self.mode(false)
    else { return nil }
    let isClaimable = mode == Self.mode(true)
    if let place = places[name] {
      channels[place].isClaimable = channels[place].isClaimable || isClaimable
      return true
    }
    guard channels.count < Self.capacity else { return false }
    places[name] = channels.count
    channels.append(Channel(name: name, isClaimable: isClaimable, createdAt: message.storedAt))
    return true
  }
}
