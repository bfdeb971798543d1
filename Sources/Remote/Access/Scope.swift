/// What a token lets its bearer do.
package enum Scope: String, Hashable, Sendable, CaseIterable {
  /// Read topics, tasks and who is there, and wait for news.
  case read = "parley:read"
  /// Post, reply, and work on tasks; covers reading.
  case post = "parley:post"
  /// See the server's own figures; covers nothing else.
  case admin = "parley:admin"
  /// Stand for the backend on another machine (`backend: parley`); covers nothing else.
  case relay = "parley:relay"
}

/// The scopes of a token.
package struct Scopes: Hashable, Sendable {
  private let granted: Set<Scope>

  package static let all = Scopes(Set(Scope.allCases))
  /// What clients are offered who take part in the conversation.
  package static let usual = Scopes([.read, .post])
  package static let reading = Scopes([.read])

  package init(_ granted: Set<Scope>) { self.granted = granted }

  /// A list of names, separated by spaces (RFC 6749 section 3.3). Nil where one is unknown, or none is left;
  /// `offline_access` asks for what every client is given, and counts as nothing.
  package init?(_ text: String) {
    var found: Set<Scope> = []
    for name in text.split(separator: " ") where name != "offline_access" {
      guard let scope = Scope(rawValue: String(name)) else { return nil }
      found.insert(scope)
    }
    guard !found.isEmpty else { return nil }
    granted = found
  }

  package func covers(_ scope: Scope) -> Bool {
    granted.contains(scope) || scope == .read && granted.contains(.post)
  }

  /// Whether everything that the other lets do may be done.
  package func covers(_ other: Scopes) -> Bool { other.granted.allSatisfy(covers) }

  /// What both let do.
  package func intersection(_ other: Scopes) -> Scopes {
    Scopes(Set(Scope.allCases.filter { covers($0) && other.covers($0) }))
  }

  package var isEmpty: Bool { granted.isEmpty }
  /// With what each of them covers, in a fixed order.
  package var list: [Scope] { Scope.allCases.filter(covers) }
  package var text: String { list.map(\.rawValue).joined(separator: " ") }
}
