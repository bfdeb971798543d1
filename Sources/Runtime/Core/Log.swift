import Glibc
import Synchronization

/// The process's log: lines on standard error, as text or JSON; message text appears only at `debug` and below.
public enum Log {
  /// How much a line matters.
  public enum Level: Int, Comparable, Sendable, CaseIterable {
    /// Everything, byte by byte.
    case trace
    /// For those who work on Parley; may contain message text.
    case debug
    /// What happens in normal running.
    case info
    /// Changes that an operator may want to know.
    case notice
    /// Something is off, work goes on.
    case warning
    /// Something failed.
    case error

    /// The level of a name, nil for an unknown one.
    public init?(name: String) {
      guard let level = Self.allCases.first(where: { "\($0)" == name }) else { return nil }
      self = level
    }

    public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
  }

  private static let settings = Atomic<UInt8>(UInt8(Level.warning.rawValue) << 1)

  /// Sets what is logged, and whether lines are JSON objects.
  public static func configure(level: Level, json: Bool) {
    settings.store(UInt8(level.rawValue) << 1 | (json ? 1 : 0), ordering: .relaxed)
  }

  /// Reads a setting such as `debug`, `info,json`; nil where it is not one.
  public static func parse(_ setting: String) -> (level: Level, json: Bool)? {
    let parts = setting.split(separator: ",", omittingEmptySubsequences: false)
    guard let first = parts.first, let level = Level(name: String(first)) else { return nil }
    switch parts.dropFirst() {
    case []: return (level, false)
    case ["json"]: return (level, true)
    case ["text"]: return (level, false)
    default: return nil
    }
  }

  /// Writes a line when `level` is logged; `fields` are not evaluated otherwise.
  public static func write(
    _ level: Level, _ event: @autoclosure () -> String, _ fields: @autoclosure () -> [(String, String)] = []
  ) {
    let settings = settings.load(ordering: .relaxed)
    guard level.rawValue >= Int(settings >> 1) else { return }
    let line = settings & 1 == 1 ? json(level, event(), fields()) : text(level, event(), fields())
    let isHeld = held.withLock { lines in
      guard lines != nil else { return false }
      if lines?.count == heldLimit { lines?.removeFirst() }
      lines?.append(line)
      return true
    }
    if !isHeld { put(line) }
  }

  private static func put(_ text: String) {
    let bytes = Array(text.utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  /// The newest lines that wait for the terminal; nil while lines are written at once.
  private static let held = Mutex<[String]?>(nil)
  private static let heldLimit = 200

  /// Keeps lines back, the newest 200, until `release`: a picture is on the terminal that they would go to. Nothing
  /// changes where standard error is no terminal.
  public static func hold() {
    guard isatty(STDERR_FILENO) == 1 else { return }
    held.withLock { $0 = $0 ?? [] }
  }

  /// Writes what was kept back, and every line at once from then on.
  public static func release() {
    let lines = held.withLock { lines in
      defer { lines = nil }
      return lines ?? []
    }
    for line in lines { put(line) }
  }

  /// Logs every change of a backend's health; a warning only where the trouble is new.
  public static func follow(_ supervisor: Supervisor) async {
    let name = await supervisor.traits.name
    let trouble = Mutex<SeamError?>(nil)
    await supervisor.observeHealth { health in
      let isNew = trouble.withLock { known in
        defer { known = health.state == .live ? nil : health.cause ?? known }
        return health.cause != known
      }
      let level: Level = health.state == .waitingToRetry && isNew ? .warning : .info
      write(
        level, "backend \(health.state.rawValue)",
        [("backend", name), ("reconnects", String(health.reconnects))]
          + (health.cause.map { [("cause", $0.description)] } ?? []))
    }
  }

  private static func text(_ level: Level, _ event: String, _ fields: [(String, String)]) -> String {
    let pairs = fields.map { " \($0.0)=\(VisibleText.visible($0.1, keepsLines: false))" }.joined()
    return "parley: \(level): \(VisibleText.visible(event, keepsLines: false))\(pairs)\n"
  }

  private static func json(_ level: Level, _ event: String, _ fields: [(String, String)]) -> String {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("time")
    writer.int(Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    for (name, value) in [("level", "\(level)"), ("event", event)] + fields {
      writer.key(name)
      writer.string(value)
    }
    writer.endObject()
    return String(decoding: writer.bytes, as: UTF8.self) + "\n"
  }
}
