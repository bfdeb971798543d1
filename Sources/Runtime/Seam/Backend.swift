/// The seam: the six operations that a messaging system must offer to carry a parley.
///
/// A backend is an actor on an event loop, between `connect` and `disconnect` one connected session with the store.
/// Retrying, waiting, fan-out, resuming subscriptions after a lost connection, catch-up, dedup and limits are written
/// once above the seam (`Supervisor`, `Hub`), so a backend does none of them. The contract is S1 to S13; each line is
/// tested by the cases of ParleyConformance:
///
/// - S1 `post` returns when the message is stored, with id, cursor and durability.
/// - S2 A key, scoped to topic and author, is one message; the same key with other content is `keyReused`.
/// - S3 Cursors are opaque places in the log; `after` is exclusive and ascending, `before` pages back, `latest` is the
///   newest, ascending.
/// - S4 Where loss after a cursor cannot be ruled out a `Gap` is told, and reading goes on from the oldest there is. A
///   malformed or foreign cursor is `cursorInvalid`.
/// - S5 A subscription delivers every message after its cursor once, in order, or a gap.
/// - S6 A message is the same value live and by fetch.
/// - S7 A waiting fetch wakes within the push latency and ends at once when cancelled (by the supervisor, which feeds
///   it from the subscription).
/// - S8 Names, text and attributes come back exactly as they went in; NUL is `invalidRequest`.
/// - S9 Errors are typed, a retry with the same key is always safe.
/// - S10 One topic's or subscriber's trouble does not delay another's.
/// - S11 Concurrent writers, processes and machines never corrupt, reuse an id or break order.
/// - S12 Where the store authenticates, `account` and `provenance` say so; elsewhere handles are `claimed`.
/// - S13 `resolveIdentity` says who is behind a handle, or that it does not know.
public protocol Backend: LoopActor {
  /// What the backend can do and how durable it is; may grow more precise by connecting.
  var traits: BackendTraits { get }

  /// Opens the session; returns when posts and fetches work.
  ///
  /// `lost` is called on the loop, at most once, when the session ends by itself; its subscriptions have ended by then.
  /// May be called again after `lost` or `disconnect`. A throw leaves nothing open.
  func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError)

  /// Ends the session and closes every handle; what is still queued fails as `unavailable` (not stored). Idempotent.
  func disconnect() async

  /// Delivers everything after a cursor to `sink`, on the loop, in log order, until `unsubscribe`, `disconnect` or loss.
  ///
  /// The first delivery may come before this returns. When the sink answers `.pause`, nothing more is delivered to it
  /// until `resume`; the subscription keeps its place without growing memory. When it answers `.moreLater`, what comes
  /// next may be gathered for a few milliseconds, until `resume` at the latest.
  func subscribe(_ topic: Topic, after cursor: Cursor, sink: @escaping Sink) async throws(SeamError) -> SubscriptionID

  /// Goes on with a subscription that its sink paused, or put off. No effect on one that ended.
  func resume(_ subscription: SubscriptionID)

  /// Ends a subscription; the sink is not called again. No effect on one that ended.
  func unsubscribe(_ subscription: SubscriptionID)

  /// Stores a message. What is still queued at `deadline` is withdrawn and fails as `timedOut`: not stored.
  func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt

  /// The same as `post`, for callers that are answered instead of suspended: `reply` is called once, on the loop,
  /// perhaps before this returns. There is one implementation for all backends, over `post`; a backend whose own work
  /// takes a few microseconds answers without a task.
  func submit(_ draft: Draft, deadline: LoopInstant, reply: @escaping PostReply)

  /// Reads one page. A topic that was never posted to is an empty page, and is not created.
  func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page

  /// Who is behind a handle, by the backend's own knowledge.
  func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity
}

extension Backend {
  /// Suspends a task in `post` and answers for it.
  public func submit(_ draft: Draft, deadline: LoopInstant, reply: @escaping PostReply) {
    loop.spawn {
      do throws(SeamError) {
        reply(.success(try await self.post(draft, deadline: deadline)))
      } catch {
        reply(.failure(error))
      }
    }
  }
}

/// Takes the outcome of a `submit` on the loop; must not block.
public typealias PostReply = @Sendable (Result<Receipt, SeamError>) -> Void

/// What arrives at a sink.
public enum Delivery: Hashable, Sendable {
  /// The next message of the log.
  case message(Message)
  /// Messages that will not come, or may not come; reading goes on after `gap.to`.
  case gap(Gap)

  /// The place just after this delivery.
  public var cursor: Cursor {
    switch self {
    case .message(let message): message.cursor
    case .gap(let gap): gap.to
    }
  }
}

/// A sink's answer to a delivery (which it has taken in any case).
public enum Demand: Hashable, Sendable {
  /// Go on.
  case more
  /// Go on, but nobody waits for it: where each delivery has its price, the next ones may come together.
  case moreLater
  /// Deliver nothing until `resume`.
  case pause
}

/// Takes deliveries synchronously on the loop; must not block.
public typealias Sink = @Sendable (Delivery) -> Demand

/// Names a subscription of one backend session.
public struct SubscriptionID: Hashable, Sendable {
  /// Unique in the backend actor's life.
  public let number: UInt64

  /// Wraps a number.
  public init(_ number: UInt64) { self.number = number }
}

/// What a backend can do, for status, limits and the conformance suite.
public struct BackendTraits: Hashable, Sendable {
  /// The name configuration uses and cursors carry, for example `sqlite`.
  public var name: String
  /// What people should know where it lives, without secrets: a path, a URL without user information.
  public var location: String
  /// How durable posts are, as far as known.
  public var durability: Durability
  /// The largest content it carries, in bytes of UTF-8; nil when only configuration limits it.
  public var contentLimit: Int?
  /// Whether it authenticates senders, so that `Message.account` is set (S12).
  public var authenticatesSenders: Bool
  /// The account under which posts of this process are stored, once it is known; nil where senders are not authenticated.
  public var account: String?
  /// The server enforces keys while the message exists (`.always`), for a window, or leaves it to readers.
  public var keyWindow: KeyWindow
  /// How closely the `storedAt` of two messages can be compared: to 1 ms, or worse where the server's stamps are coarse
  /// or a sender's clock has a say. Leases are longer by it.
  public var timeResolution: Duration
  /// Messages are kept for so long, where the backend knows it; nil for ever, or unknown.
  public var retention: Duration?
  /// Things that doctor and status should tell, for example known faults of the server's version.
  public var notes: [String]

  /// Makes traits.
  public init(
    name: String, location: String, durability: Durability, contentLimit: Int? = nil,
    authenticatesSenders: Bool = false, account: String? = nil, keyWindow: KeyWindow,
    timeResolution: Duration = .milliseconds(1),
    retention: Duration? = nil, notes: [String] = []
  ) {
    self.name = name
    self.location = location
    self.durability = durability
    self.contentLimit = contentLimit
    self.authenticatesSenders = authenticatesSenders
    self.account = account
    self.keyWindow = keyWindow
    self.timeResolution = timeResolution
    self.retention = retention
    self.notes = notes
  }

  /// How long a key is remembered.
  public enum KeyWindow: Hashable, Sendable {
    /// As long as the message is stored.
    case always
    /// At least this long.
    case atLeast(Duration)
  }
}

/// The backend's answer to "who is this handle" (S13).
public enum ResolvedIdentity: Hashable, Sendable {
  /// The backend knows the account and stands for it.
  case account(String, provenance: Provenance)
  /// The backend does not authenticate, or never saw the handle.
  case unknown
}
