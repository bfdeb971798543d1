import ParleyRuntime

/// Whether a passphrase, typed into the consent page, is the owner's. Called on a thread of its own, and may block; what
/// it compares with should be a slow hash.
public typealias OwnerVerifier = @Sendable (_ passphrase: String) -> Bool

/// What the door of a Swift program is: who speaks by it, where it listens, and how clients reach it.
public struct DoorSetup: Sendable {
  /// The handle of whoever enters without a name of its own; the consent page proposes it.
  public var handle: Handle
  /// Further handles that the consent page proposes.
  public var handles: [Handle] = []
  /// The topics that may be used.
  public var topics: [Topic]
  /// A numeric address and a port, or `unix:` and an absolute path; port 0 lets the kernel choose.
  public var listen = "127.0.0.1:8808"
  /// The origin by which clients and browsers reach the door: `https://host`, or `http://` on this machine.
  public var publicURL: String
  /// The file of clients and tokens, made where there is none (0600, with its key and lock beside it).
  public var store: String
  /// Messages are pushed into sessions that hold a stream open.
  public var pushes = true
  /// SIGINT and SIGTERM end the door, SIGHUP is ignored; otherwise signals are the program's.
  public var endsWithSignals = true

  /// A setup with the defaults.
  public init(handle: Handle, topics: [Topic], publicURL: String, store: String) {
    self.handle = handle
    self.topics = topics
    self.publicURL = publicURL
    self.store = store
  }
}

/// Why a door is not opened, or ended by itself.
public struct DoorFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The reason, for people.
  public let description: String

  init(_ description: String) { self.description = description }
}
