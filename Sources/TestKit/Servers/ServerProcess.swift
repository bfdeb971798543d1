import CLinux
import Glibc
import ParleyRuntime
import Synchronization

/// A real server for tests: a child process with a directory of its own, killed when the last reference goes, and by
/// the kernel should the tests die first.
///
/// All that waits does so on a thread of the test kit, so no loop under test is held up.
public final class ServerProcess: Sendable {
  /// What messages call it.
  public let name: String
  /// Its configuration, data and log; removed with this value.
  public let directory: TemporaryDirectory
  private let command: [String]
  private let environment: [String: String]?
  private let patience: Duration
  private let isReady: @Sendable () -> Bool
  private let running = Mutex<pid_t?>(nil)

  /// Servers die with the thread that started them (prctl(2), PR_SET_PDEATHSIG), so one starts them all and never ends.
  private static let thread = Result { () throws(SystemError) in try EventLoop.thread(named: "test servers") }

  /// Describes a server that `start` starts. `isReady` is asked every 10 ms, on a thread that it may block for a moment;
  /// a server that is not ready within `patience` has failed.
  public init(
    _ name: String, path: String, arguments: [String] = [], environment: [String: String]? = nil,
    directory: TemporaryDirectory, patience: Duration = .seconds(60), isReady: @escaping @Sendable () -> Bool
  ) {
    self.name = name
    self.directory = directory
    self.environment = environment
    self.patience = patience
    self.isReady = isReady
    command = ["--pdeathsig", "KILL", "--", path] + arguments
  }

  deinit { kill() }

  /// Its process id; nil while it does not run.
  public var id: pid_t? { running.withLock { $0 } }

  /// What it wrote on standard output and standard error, over all its starts.
  public var log: String { TextFile.read(directory.path("log")) ?? "" }

  // MARK: Start and end

  /// Starts it and returns when it is ready. Does nothing where it runs.
  public func start() async throws(ServerFailure) {
    try await Self.onThread { loop throws(ServerFailure) in
      guard self.id == nil else { return }
      do throws(SystemError) { try self.spawn() } catch { throw ServerFailure("\(self.name): \(error)") }
      let deadline = loop.now.advanced(by: self.patience)
      while !self.isReady() {
        if self.reap() { throw ServerFailure("\(self.name) ended while it started:\n\(self.lastLines)") }
        guard loop.now < deadline else {
          self.kill()
          throw ServerFailure("\(self.name) was not ready within \(self.patience):\n\(self.lastLines)")
        }
        await loop.sleep(for: .milliseconds(10))
      }
    }
  }

  /// Asks it to end (SIGTERM) and returns when it has; after ten seconds it is killed.
  public func stop() async {
    // A stopped process does not act on SIGTERM before it goes on.
    resume()
    signal(SIGTERM)
    _ = try? await Self.onThread { loop throws(ServerFailure) in
      let deadline = loop.now.advanced(by: .seconds(10))
      while !self.reap() {
        if loop.now >= deadline { self.kill() }
        await loop.sleep(for: .milliseconds(5))
      }
    }
  }

  /// Ends it, if it runs, by SIGTERM, and starts it anew: same port, same data.
  public func restart() async throws(ServerFailure) {
    await stop()
    try await start()
  }

  /// Kills it (SIGKILL) and returns when it is gone; `start` starts it anew.
  public func kill() {
    running.withLock { id in
      guard let pid = id else { return }
      _ = Glibc.kill(pid, SIGKILL)
      _ = waitpid(pid, nil, 0)
      id = nil
    }
  }

  /// Stops it where it stands (SIGSTOP): its sockets stay open, and it says nothing.
  public func pause() { signal(SIGSTOP) }

  /// Lets it go on (SIGCONT).
  public func resume() { signal(SIGCONT) }

  /// Sends a signal; no effect where it does not run.
  public func signal(_ number: CInt) { running.withLock { id in if let id { _ = Glibc.kill(id, number) } } }

  // MARK: Inside

  private func spawn() throws(SystemError) {
    let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC
    let log = try SystemError.check("open the log", unsafe parley_open(directory.path("log"), flags, 0o600))
    defer { close(log) }
    let nothing = try SystemError.check("open /dev/null", unsafe parley_open("/dev/null", O_RDONLY | O_CLOEXEC, 0))
    defer { close(nothing) }
    let id = try Spawn.start(
      "/usr/bin/setpriv", command, environment: environment, directory: directory.path,
      descriptors: [nothing, log, log])
    running.withLock { $0 = id }
  }

  /// Takes note of its end; whether it has ended.
  private func reap() -> Bool {
    running.withLock { id in
      guard let pid = id else { return true }
      guard waitpid(pid, nil, WNOHANG) == pid else { return false }
      id = nil
      return true
    }
  }

  private var lastLines: String { log.split(separator: "\n").suffix(30).joined(separator: "\n") }

  /// Runs what may block or wait on the test kit's thread.
  static func onThread<Value: Sendable>(
    _ body: @escaping @Sendable (EventLoop) async throws(ServerFailure) -> Value
  ) async throws(ServerFailure) -> Value {
    let loop: EventLoop
    do throws(SystemError) { loop = try thread.get() } catch { throw ServerFailure("\(error)") }
    return try await loop.spawn { () async -> Result<Value, ServerFailure> in
      do throws(ServerFailure) { return .success(try await body(loop)) } catch { return .failure(error) }
    }.value.get()
  }
}

/// A server under test could not be started, asked or used; the text says why, with the end of its log.
public struct ServerFailure: Error, Hashable, CustomStringConvertible {
  /// What failed, and why.
  public let description: String

  /// Makes a failure.
  public init(_ description: String) { self.description = description }
}
