import CLinux
import Glibc
import ParleyRuntime

/// A real process with pipes on its standard streams, read on an event loop; killed when the last reference goes.
//
// @unchecked: confined to its loop, but for `deinit`, which only kills, reaps and hands the descriptors to the loop.
public final class ChildProcess: @unchecked Sendable {
  /// How a process ended.
  public enum Exit: Hashable, Sendable {
    /// It returned or called `exit` with this status.
    case status(CInt)
    /// A signal ended it.
    case signal(CInt)
  }

  /// The process's id.
  public let id: pid_t
  /// Complete lines of standard output that `nextLine` has not returned yet.
  public private(set) var outputLines: [String] = []
  /// Complete lines of standard error so far.
  public private(set) var errorLines: [String] = []
  /// How it ended; nil while it runs.
  public private(set) var exit: Exit?

  private let loop: EventLoop
  private let processDescriptor: CInt
  private var input: CInt
  private var pendingInput: [UInt8] = []
  private var closesInputWhenWritten = false
  private var inputWatch: Watch?
  private var watches: [CInt: Watch] = [:]
  private var partial: [CInt: [UInt8]] = [:]
  private let output: CInt
  private let changed: Waiters<Void>

  /// Starts a program. `arguments` are without its name; `environment` nil inherits; must be called on the loop.
  ///
  /// Throws what `pipe2` or `posix_spawn` refuse, for example ENOENT.
  public init(
    loop: EventLoop, path: String, arguments: [String] = [], environment: [String: String]? = nil,
    directory: String? = nil
  ) throws(SystemError) {
    // A child that has closed its input must not end the tests; the write fails instead.
    signal(SIGPIPE, SIG_IGN)
    let (stdin, stdout, stderr) = (try Self.makePipe(), try Self.makePipe(), try Self.makePipe())
    id = try Spawn.start(
      path, arguments, environment: environment, directory: directory,
      descriptors: [stdin.read, stdout.write, stderr.write])
    for descriptor in [stdin.read, stdout.write, stderr.write] { close(descriptor) }
    processDescriptor = try SystemError.check("pidfd_open", parley_pidfd_open(id))
    self.loop = loop
    input = stdin.write
    output = stdout.read
    changed = Waiters(loop: loop)
    for descriptor in [input, stdout.read, stderr.read] {
      // Status flags of our own ends only; the child's ends are other open files of the pipe.
      _ = try SystemError.check("fcntl", fcntl(descriptor, F_SETFL, O_NONBLOCK))
    }
    for descriptor in [stdout.read, stderr.read] {
      watches[descriptor] = try loop.watch(descriptor, for: .read) { [weak self] _ in self?.readMore(descriptor) }
    }
    watches[processDescriptor] = try loop.watch(processDescriptor, for: .read) { [weak self] _ in self?.reap() }
  }

  deinit {
    if exit == nil {
      _ = parley_pidfd_send_signal(processDescriptor, SIGKILL)
      _ = waitpid(id, nil, 0)
    }
    let (loop, watches, inputWatch, input) = (loop, watches, inputWatch, input)
    loop.execute {
      for (descriptor, watch) in watches {
        loop.unwatch(watch)
        close(descriptor)
      }
      if let inputWatch { loop.unwatch(inputWatch) }
      if input >= 0 { close(input) }
    }
  }

  // MARK: Talking to it

  /// Queues text for its standard input.
  public func send(_ text: String) { send(Array(text.utf8)) }

  /// Queues bytes for its standard input.
  public func send(_ bytes: [UInt8]) {
    pendingInput += bytes
    flush()
  }

  /// How much that was queued the process has not taken yet, in bytes.
  public var unsentBytes: Int { pendingInput.count }

  /// Closes its standard input when everything queued is written.
  public func closeInput() {
    closesInputWhenWritten = true
    flush()
  }

  /// Stops reading its standard output until `resumeOutput`, so that the pipe fills up.
  public func pauseOutput() { watches[output].map { loop.rewatch($0, for: []) } }

  /// Reads its standard output again.
  public func resumeOutput() { watches[output].map { loop.rewatch($0, for: .read) } }

  /// Closes our end of its standard output.
  public func closeOutput() { drop(output) }

  /// The next line of its standard output, without the newline; nil when none came by the deadline or it ended.
  public func nextLine(until deadline: LoopInstant) async -> String? {
    guard await wait(until: deadline, for: { !$0.outputLines.isEmpty || $0.watches[$0.output] == nil }) else {
      return nil
    }
    return outputLines.isEmpty ? nil : outputLines.removeFirst()
  }

  /// Waits until the condition holds, looked at whenever something happened; false when it does not by the deadline.
  public func wait(until deadline: LoopInstant, for condition: (ChildProcess) -> Bool) async -> Bool {
    while !condition(self) {
      guard case .value = await changed.wait(changed.ticket(), until: deadline) else { return condition(self) }
    }
    return true
  }

  /// How it ended, once it has and its output is read to the end; nil when not by the deadline.
  public func waitForExit(until deadline: LoopInstant) async -> Exit? {
    _ = await wait(until: deadline) { $0.exit != nil && $0.watches.isEmpty }
    return exit
  }

  /// Sends a signal; no effect once it has ended.
  public func kill(_ signal: CInt = SIGKILL) { _ = parley_pidfd_send_signal(processDescriptor, signal) }

  // MARK: Descriptors

  private func flush() {
    guard input >= 0 else { return }
    while !pendingInput.isEmpty {
      let count = unsafe write(input, pendingInput, pendingInput.count)
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN {
        if inputWatch == nil {
          inputWatch = try? loop.watch(input, for: .write) { [weak self] _ in self?.flush() }
        }
        return
      }
      guard count >= 0 else {
        pendingInput = []
        closesInputWhenWritten = true
        break
      }
      pendingInput.removeFirst(count)
      changed.resumeAll(())
    }
    if let inputWatch { loop.unwatch(inputWatch) }
    inputWatch = nil
    if closesInputWhenWritten {
      close(input)
      input = -1
    }
  }

  private func readMore(_ descriptor: CInt) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe read(descriptor, &buffer, buffer.count)
    if count < 0, errno == EAGAIN || errno == EINTR { return }
    if count <= 0 { drop(descriptor) } else { add(buffer[..<count], from: descriptor) }
    changed.resumeAll(())
  }

  private func add(_ bytes: ArraySlice<UInt8>, from descriptor: CInt) {
    var rest = partial[descriptor, default: []] + bytes
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      let line = String(decoding: rest[..<end], as: UTF8.self)
      if descriptor == output { outputLines.append(line) } else { errorLines.append(line) }
      rest.removeFirst(end + 1)
    }
    partial[descriptor] = rest
  }

  private func drop(_ descriptor: CInt) {
    guard let watch = watches.removeValue(forKey: descriptor) else { return }
    loop.unwatch(watch)
    close(descriptor)
  }

  private func reap() {
    var status: CInt = 0
    guard unsafe waitpid(id, &status, WNOHANG) == id else { return }
    // Bits as in wait(2): the low seven are the signal, the next byte the status.
    exit = status & 0x7f == 0 ? .status((status >> 8) & 0xff) : .signal(status & 0x7f)
    if let watch = watches.removeValue(forKey: processDescriptor) { loop.unwatch(watch) }
    changed.resumeAll(())
  }

  private static func makePipe() throws(SystemError) -> (read: CInt, write: CInt) {
    var ends: [CInt] = [0, 0]
    try SystemError.check("pipe2", unsafe parley_pipe(&ends))
    return (ends[0], ends[1])
  }
}

extension ChildProcess {
  /// The path of the built `parley`, from `PARLEY_BIN`, which `make test` sets.
  public static func parleyPath() throws(MissingBinary) -> String {
    guard let path = Environment.value("PARLEY_BIN") else { throw MissingBinary() }
    return path
  }
}

/// `PARLEY_BIN` is not set, so that no test can start the real program.
public struct MissingBinary: Error, CustomStringConvertible {
  public var description: String { "PARLEY_BIN does not name a parley binary: run the tests by `make test`" }
}
