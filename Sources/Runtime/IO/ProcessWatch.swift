import CLinux
import Glibc

/// Notices that the process should end: SIGINT, SIGTERM, SIGHUP, or the death of its parent; and that its terminal has
/// another size, SIGWINCH, where somebody wants to know. Confined to its loop.
//
// @unchecked: confined to the loop's thread.
package final class ProcessWatch: @unchecked Sendable {
  /// Why to end.
  package enum Cause: Sendable {
    case signal(CInt)
    case parentDied
  }

  private let loop: EventLoop
  private let ended: (Cause) -> Void
  private let resized: (() -> Void)?
  private let parent: pid_t
  private var descriptors: [(descriptor: CInt, watch: Watch)] = []
  private var timer: LoopTimer?
  private let watchesParent: Bool

  /// Takes note of the parent, unless its death does not matter, and blocks the signals on the calling thread, from which later threads inherit that.
  package init(
    loop: EventLoop, watchesParent: Bool = true, resized: (() -> Void)? = nil, ended: @escaping (Cause) -> Void
  ) {
    self.loop = loop
    self.watchesParent = watchesParent
    self.resized = resized
    self.ended = ended
    parent = getppid()
    Self.blockSignals()
    signal(SIGPIPE, SIG_IGN)
  }

  /// Blocks the signals on the calling thread and on those that it starts later: for who makes threads before the watch.
  package static func blockSignals() {
    var signals = signals
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
  }

  private static var signals: sigset_t {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGWINCH] { unsafe sigaddset(&set, number) }
    return set
  }

  /// Begins to watch; on the loop.
  package func start() throws(SystemError) {
    var signals = Self.signals
    // The loop's thread may be another than the one that made us.
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    let signalDescriptor = try SystemError.check(
      "signalfd", unsafe signalfd(-1, &signals, CInt(SFD_NONBLOCK | SFD_CLOEXEC)))
    try watch(signalDescriptor) { [self] in takeSignal(signalDescriptor) }
    if watchesParent { try watchParent() }
  }

  /// Ends watching.
  package func stop() {
    for (descriptor, watch) in descriptors {
      loop.unwatch(watch)
      close(descriptor)
    }
    descriptors = []
    if let timer { loop.cancel(timer) }
    timer = nil
  }

  private func takeSignal(_ descriptor: CInt) {
    var info = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    guard unsafe read(descriptor, &info, size) == size else { return }
    guard CInt(info.ssi_signo) != SIGWINCH else { return resized?() ?? () }
    ended(.signal(CInt(info.ssi_signo)))
  }

  /// A parent in another pid namespace has no number here (0), and cannot be watched.
  private func watchParent() throws(SystemError) {
    guard parent > 0 else { return }
    let descriptor = parley_pidfd_open(parent)
    if descriptor >= 0 { try watch(descriptor) { [self] in ended(.parentDied) } }
    // It may have died, and its number been reused, before it could be watched.
    if getppid() != parent { return ended(.parentDied) }
    if descriptor < 0 { lookAgainLater() }
  }

  /// Where there are no process descriptors (or no more of them).
  private func lookAgainLater() {
    timer = loop.schedule(after: .milliseconds(500)) { [self] in
      if getppid() != parent { ended(.parentDied) } else { lookAgainLater() }
    }
  }

  private func watch(_ descriptor: CInt, _ action: @escaping () -> Void) throws(SystemError) {
    do throws(SystemError) {
      descriptors.append((descriptor, try loop.watch(descriptor, for: .read) { _ in action() }))
    } catch {
      close(descriptor)
      throw error
    }
  }
}
