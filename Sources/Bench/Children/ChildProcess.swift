import CFloors
import CLinux
import Glibc

/// A child with a pipe on its standard input and one on its standard output; its standard error goes to a file.
final class ChildProcess {
  let pid: pid_t
  /// Our end of its standard input; -1 once closed.
  private(set) var input: CInt
  /// Our end of its standard output.
  let output: CInt
  private var isReaped = false

  /// Starts `arguments[0]`. `wide`: pipes of 1 MiB, so that a full window of requests and one of answers fit at once and
  /// a plain blocking child cannot stand against us, each waiting for the other to read.
  init(_ arguments: [String], errors: String, wide: Bool = false) throws(BenchError) {
    let (childInput, input) = try Self.pipe(wide: wide)
    let (output, childOutput) = try Self.pipe(wide: wide)
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawn_file_actions_adddup2(&actions, childInput, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, childOutput, 1)
    unsafe posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    var pointers = unsafe arguments.map { unsafe strdup($0) }
    unsafe pointers.append(nil)
    var pid: pid_t = 0
    let result = unsafe posix_spawn(&pid, arguments[0], &actions, nil, pointers, environ)
    unsafe pointers.forEach { unsafe free($0) }
    unsafe posix_spawn_file_actions_destroy(&actions)
    close(childInput)
    close(childOutput)
    self.pid = pid
    self.input = input
    self.output = output
    guard result == 0 else {
      isReaped = true
      throw BenchError(arguments[0], code: result)
    }
  }

  deinit {
    closeInput()
    close(output)
    if !isReaped {
      kill(pid, SIGKILL)
      waitpid(pid, nil, 0)
    }
  }

  /// Ends its input; a well-behaved child then exits by itself.
  func closeInput() {
    if input >= 0 { close(input) }
    input = -1
  }

  /// Ends its input and waits at most `seconds` for a clean exit; a child that stays is killed and told of.
  func finish(within seconds: Int = 10) throws(BenchError) {
    closeInput()
    let descriptor = parley_pidfd_open(pid)
    defer { close(descriptor) }
    var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let isLate = unsafe poll(&ready, 1, CInt(seconds) * 1000) == 0
    if isLate { kill(pid, SIGKILL) }
    var status: CInt = 0
    unsafe waitpid(pid, &status, 0)
    isReaped = true
    if isLate { throw BenchError("a child did not end within \(seconds) s of the end of its input") }
    if status != 0 { throw BenchError("a child ended with wait status \(status)") }
  }

  /// Kills a child that has no input whose end would tell it to go.
  func stop() {
    kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
    isReaped = true
  }

  private static func pipe(wide: Bool) throws(BenchError) -> (read: CInt, write: CInt) {
    var ends: (read: CInt, write: CInt) = (-1, -1)
    // Close-on-exec: a child that held another's input open would keep it from ever seeing the end.
    guard unsafe bench_pipe(&ends.read, &ends.write, wide ? 1 : 0) == 0 else { throw .last("pipe") }
    return ends
  }
}
