/// What is accepted, and how much is given out at once; every excess is a clear error or a told cut.
public struct Limits: Hashable, Sendable {
  /// A message's text, in UTF-8 bytes.
  public var contentBytes = 256 * 1024
  /// All attribute names and values together, in UTF-8 bytes.
  public var attributesBytes = 4 * 1024
  /// A topic's name, in UTF-8 bytes.
  public var topicBytes = 255
  /// A handle, in UTF-8 bytes.
  public var handleBytes = 128
  /// Messages in one page.
  public var pageMessages = 1_000
  /// Content in one page, in bytes.
  public var pageBytes = 1 << 20
  /// Structured content of one tool result, in bytes; what is over is cut and reached by a cursor.
  public var resultBytes = 100_000
  /// One line of input, in bytes.
  public var lineBytes = 4 << 20
  /// Nesting of JSON input.
  public var jsonDepth = 64
  /// Topics subscribed by one process.
  public var topicsSubscribed = 10_000
  /// Calls of one session that have not been answered yet.
  public var pendingCalls = 1_024
  /// Messages that participants may answer each other with while no person says anything; 0 for any number.
  public var hops = 8
  /// The longest a waiting call may wait.
  public var wait: Duration = .seconds(60)

  /// The defaults.
  public init() {}
}
