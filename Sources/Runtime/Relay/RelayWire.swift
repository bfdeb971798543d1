/// The wire between the backend `parley` and another Parley's HTTP door: JSON bodies of POST requests, one operation of
/// the seam each. Both ends are of one source, so a door is spoken to by programs of its own `version` alone.
package enum RelayWire {
  /// Grows when a body changes so that the other end would misread it.
  package static let version = 1
  /// Drafts in one request.
  package static let batch = 256
  /// How long a request for news may wait, less than what proxies take for a dead connection.
  package static let patience: Duration = .seconds(25)

  /// What can be asked; the address is `/relay/` and the word.
  package enum Operation: String, CaseIterable, Sendable {
    /// The backend's traits; fails while it is away.
    case traits
    /// Stores drafts in their order.
    case post
    /// Reads a page.
    case fetch
    /// Waits for news after places of several topics.
    case watch
    /// Who is behind a handle.
    case identity
    /// Lets handles into a closed topic.
    case admit

    package var path: String { "/relay/\(rawValue)" }

    package init?(path: String) {
      guard path.hasPrefix("/relay/") else { return nil }
      self.init(rawValue: String(path.dropFirst(7)))
    }
  }
}

extension JSONWriter {
  /// Writes a name and an object of strings, or nothing for an empty one.
  package mutating func relayMap(_ name: String, _ map: [String: String]) {
    guard !map.isEmpty else { return }
    key(name)
    beginObject()
    for (name, value) in map.sorted(by: { $0.key < $1.key }) { member(name, value) }
    endObject()
  }
}

extension JSONSlice {
  /// The strings of an object that is a member; nil where a value is none.
  package func relayTexts(_ name: String) -> [String: String]? {
    guard let object = member(name) else { return [:] }
    guard object.kind == .object else { return nil }
    var map: [String: String] = [:]
    for member in object.members {
      guard let text = member.value.string else { return nil }
      map[member.name] = text
    }
    return map
  }
}
