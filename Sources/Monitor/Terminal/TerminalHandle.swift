import CLinux
import Glibc
import ParleyRuntime
import Synchronization

/// The terminal on standard input and output: raw mode and the alternate screen, given back on every way out.
///
/// What a signal or an error ends goes through `leave`, and whoever calls `exit` meanwhile through a hook of the C
/// library's; only SIGKILL leaves a terminal as it is.
package final class TerminalHandle: Sendable {
  private static let entering =
    "\u{1B}[?1049h\u{1B}[?2004h\u{1B}[?7l\u{1B}[2J"
  private static let leaving = "\u{1B}[0m\u{1B}[?7h\u{1B}[?2004l\u{1B}[?25h\u{1B}[?1049l"

  /// The settings to give back; nil while nothing was changed.
  private static let saved = Mutex<termios?>(nil)

  package init() {}

  /// Whether both standard streams are a terminal that understands control sequences.
  package static func isPresent(term: String?) -> Bool {
    isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && term != nil && term != "dumb" && term != ""
  }

  /// Takes the terminal over: no echo, no line editing, no signals by keys.
  package func enter() throws(SystemError) {
    var settings = termios()
    try SystemError.check("tcgetattr", unsafe tcgetattr(STDIN_FILENO, &settings))
    let before = settings
    Self.saved.withLock { $0 = before }
    atexit { TerminalHandle.restore() }
    unsafe cfmakeraw(&settings)
    try SystemError.check("tcsetattr", unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings))
    Log.hold()
    Self.write(Self.entering)
  }

  /// Gives it back as it was; no effect the second time.
  package func leave() { Self.restore() }

  private static func restore() {
    let settings = saved.withLock { saved in
      defer { saved = nil }
      return saved
    }
    guard var settings else { return }
    write(leaving)
    _ = unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    Log.release()
  }

  /// Rows and columns; nil where the terminal does not say.
  package static var size: (rows: Int, columns: Int)? {
    var (rows, columns): (UInt16, UInt16) = (0, 0)
    guard unsafe parley_terminal_size(STDOUT_FILENO, &rows, &columns) == 0, rows > 0, columns > 0 else { return nil }
    return (Int(rows), Int(columns))
  }

  /// One read of what is there; nil at the end, or when reading fails.
  package static func read() -> [UInt8]? {
    var code: CInt = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
      let result = unsafe Glibc.read(STDIN_FILENO, buffer.baseAddress, buffer.count)
      if result < 0 { code = errno }
      count = max(result, 0)
    }
    if code == EINTR || code == EAGAIN { return [] }
    return code == 0 && !bytes.isEmpty ? bytes : nil
  }

  /// Blocks until it is written: before the first and after the last picture, when nothing else happens.
  private static func write(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }
}
