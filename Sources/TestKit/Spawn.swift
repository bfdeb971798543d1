import CLinux
import Glibc
import ParleyRuntime

/// How the test kit starts programs.
enum Spawn {
  /// Starts a program whose standard streams are `descriptors`, in their order, with default signals and none blocked.
  ///
  /// `arguments` are without its name; `environment` nil inherits. Throws what `posix_spawn` refuses.
  static func start(
    _ path: String, _ arguments: [String], environment: [String: String]? = nil, directory: String? = nil,
    descriptors: [CInt]
  ) throws(SystemError) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for (number, descriptor) in descriptors.enumerated() {
      unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, CInt(number))
    }
    // Nothing else: a server that inherits the end of a test's pipe, or a C library's socket, keeps it open.
    unsafe posix_spawn_file_actions_addclosefrom_np(&actions, CInt(descriptors.count))
    if let directory { unsafe posix_spawn_file_actions_addchdir_np(&actions, directory) }
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    // Loop threads block all signals, we ignore SIGPIPE, and children would inherit both.
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    var all = sigset_t()
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var argv = unsafe ([path] + arguments).map { unsafe strdup($0) } + [nil]
    defer { unsafe argv.forEach { unsafe free($0) } }
    var envp = unsafe (environment ?? [:]).map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
    defer { unsafe envp.forEach { unsafe free($0) } }
    var id: pid_t = 0
    let code =
      environment == nil
      ? unsafe posix_spawn(&id, path, &actions, &attributes, &argv, environ)
      : unsafe posix_spawn(&id, path, &actions, &attributes, &argv, &envp)
    guard code == 0 else { throw SystemError(operation: "posix_spawn \(path)", code: code) }
    return id
  }
}
