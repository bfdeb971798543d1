import CLinux
import Glibc
import ParleyRuntime

/// A `parley serve` child process as an agent's program would run it, spoken to over its pipes.
actor AgentProcess: LoopActor {
  /// A pushed message, and when it arrived.
  struct Push: Sendable {
    let params: JSONSlice
    let at: LoopInstant
  }

  /// How long anything may take: a homeserver on a busy machine needs its time.
  static let patience = Duration.seconds(30)

  nonisolated let loop: EventLoop
  private let pid: pid_t
  private let input: CInt
  private let output: CInt
  private var watch: Watch?
  private var buffer: [UInt8] = []
  private var lastID = 0
  private let answers: Waiters<JSONSlice>
  private let pushes: Waiters<Push>
  private var pushTicket: UInt64?
  private var waitingPushes: [Push] = []

  /// Starts `arguments` (the first is the path of the executable) with pipes on its standard input and output.
  init(_ arguments: [String], on loop: EventLoop) throws(SystemError) {
    self.loop = loop
    answers = Waiters(loop: loop)
    pushes = Waiters(loop: loop)
    var toChild: [CInt] = [0, 0]
    var fromChild: [CInt] = [0, 0]
    try SystemError.check("pipe2", unsafe parley_pipe(&toChild))
    try SystemError.check("pipe2", unsafe parley_pipe(&fromChild))
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, toChild[0], STDIN_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, fromChild[1], STDOUT_FILENO)
    var pointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
    defer { unsafe pointers.forEach { unsafe free($0) } }
    var child = pid_t()
    let code = unsafe posix_spawn(&child, arguments[0], &actions, nil, &pointers, environ)
    close(toChild[0])
    close(fromChild[1])
    guard code == 0 else {
      close(toChild[1])
      close(fromChild[0])
      throw SystemError(operation: "posix_spawn \(arguments[0])", code: code)
    }
    pid = child
    input = toChild[1]
    output = fromChild[0]
  }

  /// Begins to read what the process says.
  func open() throws(SystemError) {
    watch = try loop.watch(output, for: .read) { [weak self] _ in
      self?.assumeIsolated { $0.readSome() }
    }
  }

  /// Sends a request and waits for its result; nil when the process ended, refused, or took longer than `patience`.
  func request(_ method: String, _ params: String) async -> JSONSlice? {
    let id = answers.ticket()
    send(#"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)","params":\#(params)}"#)
    guard case .value(let message) = await answers.wait(id, until: deadline) else { return nil }
    return message.member("result")
  }

  /// Calls a tool and returns its structured result.
  func call(_ tool: String, _ arguments: JSONValue) async -> JSONSlice? {
    let params: JSONValue = ["name": .string(tool), "arguments": arguments]
    return await request("tools/call", params.text)?.member("structuredContent")
  }

  /// Sends a notification.
  func notify(_ method: String) { send(#"{"jsonrpc":"2.0","method":"\#(method)"}"#) }

  /// The next live push, in order; nil after `patience` without one.
  func nextPush() async -> Push? {
    if !waitingPushes.isEmpty { return waitingPushes.removeFirst() }
    let ticket = pushes.ticket()
    pushTicket = ticket
    guard case .value(let push) = await pushes.wait(ticket, until: deadline) else { return nil }
    return push
  }

  /// Ends the process's input and waits for it; its exit code, or -1 where a signal ended it.
  func end() -> Int32 {
    if let watch { loop.unwatch(watch) }
    close(input)
    var status: Int32 = 0
    unsafe waitpid(pid, &status, 0)
    close(output)
    return status & 0x7f == 0 ? (status >> 8) & 0xff : -1
  }

  private var deadline: LoopInstant { loop.now.advanced(by: Self.patience) }

  private func send(_ line: String) { Output.write(Array((line + "\n").utf8), to: input) }

  private func readSome() {
    let now = loop.now
    var chunk = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe read(output, &chunk, chunk.count)
    guard count > 0 else {
      if let watch { loop.unwatch(watch) }
      watch = nil
      return
    }
    buffer += chunk[..<count]
    while let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
      let line = Array(buffer[..<end])
      buffer.removeFirst(end + 1)
      if let message = try? JSONSlice(line) { take(message, at: now) }
    }
  }

  private func take(_ message: JSONSlice, at now: LoopInstant) {
    if message.member("method")?.string == "notifications/claude/channel", let params = message.member("params") {
      let push = Push(params: params, at: now)
      guard let ticket = pushTicket else { return waitingPushes.append(push) }
      pushTicket = nil
      pushes.resume(ticket, push)
    } else if let id = message.member("id")?.int {
      answers.resume(UInt64(id), message)
    }
  }
}
