import ParleyRuntime

/// The alias of a topic's room, the same as the TypeScript Parley makes it: `#parley_<name>:<server>`.
enum RoomAlias {
  /// The part before the colon, without `#`. The whole alias has at most 255 bytes (Matrix specification, Appendices).
  static func localpart(of topic: Topic, server: String) -> String {
    "parley_"
      + SafeName.fold(topic.name, limit: max(16, 255 - 2 - 7 - server.utf8.count)) { unit in
        switch unit {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2e, 0x5f, 0x2d: true
        default: false
        }
      }
  }

  /// The whole alias.
  static func alias(of topic: Topic, server: String) -> String { "#\(localpart(of: topic, server: server)):\(server)" }
}
