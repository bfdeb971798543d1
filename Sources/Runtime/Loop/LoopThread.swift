import CLinux
import Glibc

/// Starts a detached thread with all signals blocked, so that signals reach the main thread alone.
func startThread(named name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
  final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void
    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
  var all = sigset_t()
  var previous = sigset_t()
  unsafe sigfillset(&all)
  unsafe pthread_sigmask(SIG_SETMASK, &all, &previous)
  defer { unsafe pthread_sigmask(SIG_SETMASK, &previous, nil) }
  let start = unsafe Unmanaged.passRetained(Start(name: name, body: body))
  var handle = pthread_t()
  let code = unsafe pthread_create(
    &handle, nil,
    { argument in
      guard let argument = unsafe argument else { return nil }
      let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
      unsafe parley_thread_name(start.name)
      start.body()
      return nil
    }, unsafe start.toOpaque())
  guard code == 0 else {
    unsafe start.release()
    throw SystemError(operation: "pthread_create", code: code)
  }
  pthread_detach(handle)
}
