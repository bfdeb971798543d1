/// The name of an ordered, durable log: any text of 1 to 255 UTF-8 bytes (configurable) without NUL.
///
/// Names that begin with `@` (a participant's own topic) or `~` (conversations and other coordination) are reserved.
public struct Topic: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The name exactly as it was given.
  public let name: String

  /// Wraps a name; nothing is checked here (see `Limits`).
  public init(_ name: String) { self.name = name }

  /// Whether only coordination parts may reach the topic.
  public var isReserved: Bool { name.utf8.first == UInt8(ascii: "@") || name.utf8.first == UInt8(ascii: "~") }

  public var description: String { name }

  /// Byte by byte, as every backend compares; Swift's own equality of text is canonical equivalence.
  public static func == (a: Topic, b: Topic) -> Bool { a.name.isExactly(b.name) }

  public static func < (a: Topic, b: Topic) -> Bool { a.name.precedes(b.name) }
}

/// The name a participant goes by: any text of 1 to 128 UTF-8 bytes (configurable) without NUL.
public struct Handle: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The name exactly as it was given.
  public let name: String

  /// Wraps a name; nothing is checked here (see `Limits`).
  public init(_ name: String) { self.name = name }

  /// The participant's own topic, `@handle`.
  public var ownTopic: Topic { Topic("@" + name) }

  public var description: String { name }

  /// Byte by byte, as every backend compares; Swift's own equality of text is canonical equivalence.
  public static func == (a: Handle, b: Handle) -> Bool { a.name.isExactly(b.name) }

  public static func < (a: Handle, b: Handle) -> Bool { a.name.precedes(b.name) }
}

/// A message's id: given by the backend when it stored the message, unique in its topic, never reused.
public struct MessageID: Hashable, Sendable, CustomStringConvertible {
  /// The id's text.
  public let text: String

  /// Wraps an id's text.
  public init(_ text: String) { self.text = text }

  public var description: String { text }

  /// Byte by byte, as every backend compares; Swift's own equality of text is canonical equivalence.
  public static func == (a: MessageID, b: MessageID) -> Bool { a.text.isExactly(b.text) }
}

/// Who posts: a handle, one process's instance of it, and the scope in which its keys are unique.
public struct Author: Hashable, Sendable {
  /// The name that others see.
  public let handle: Handle
  /// Unique to one process (UUID); own posts are recognised by it, never by the handle.
  public let instance: String
  /// What survives a restart (configuration's `instance_id`): with the handle, the scope of a caller's keys.
  public let stableInstance: String
  /// The handle is what an agent called itself: no door vouches for it.
  public let isSelfNamed: Bool

  /// Makes an author; `stableInstance` is the handle unless configuration names another.
  public init(handle: Handle, instance: String, stableInstance: String? = nil, isSelfNamed: Bool = false) {
    self.handle = handle
    self.instance = instance
    self.stableInstance = stableInstance ?? handle.name
    self.isSelfNamed = isSelfNamed
  }

  /// The same process under a name that it chose; nothing changes where that is its own handle.
  public func calling(itself name: String) -> Author {
    Handle(name) == handle ? self : Author(handle: Handle(name), instance: instance, isSelfNamed: true)
  }

  /// The text under which a backend scopes this author's keys where it has no account of its own for it.
  public var keyScope: String { handle.name + "\u{1f}" + stableInstance }
}
