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
  /// Writes a name and attributes, or nothing where there are none.
  package mutating func relay(_ name: String, _ attributes: Attributes) {
    guard !attributes.isEmpty else { return }
    key(name)
    self.attributes(attributes)
  }
}

extension JSONSlice {
  /// The attributes that a member says, none where it is absent; nil where it is anything else.
  package func relayAttributes(_ name: String) -> Attributes? {
    guard let object = member(name) else { return [:] }
    return object.attributes
  }
}
