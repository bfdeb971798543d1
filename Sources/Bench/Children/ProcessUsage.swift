import Glibc

/// What the kernel says a process has used, from /proc.
struct ProcessUsage {
  /// User and system time of all threads, in seconds: the scheduler's nanoseconds, or clock ticks where it keeps none.
  let processorSeconds: Double
  /// Times that any of its threads went to sleep by itself; each ends in a wake-up.
  let voluntarySwitches: Int
  /// Resident memory, in bytes.
  let residentBytes: Int

  init(pid: pid_t) {
    let threads = Files.names(in: "/proc/\(pid)/task").map { "/proc/\(pid)/task/\($0)" }
    let ran = threads.compactMap { Self.read($0 + "/schedstat").split(separator: " ").first.flatMap { Double($0) } }
    processorSeconds = ran.isEmpty ? Self.ticks(pid) : ran.reduce(0, +) / 1e9
    voluntarySwitches = threads.reduce(0) {
      $0 + Self.number("voluntary_ctxt_switches:", in: Self.read($1 + "/status"))
    }
    residentBytes = Self.number("VmRSS:", in: Self.read("/proc/\(pid)/status")) * 1024
  }

  private static func ticks(_ pid: pid_t) -> Double {
    // The second field is the program's name in parentheses, which may hold spaces.
    let fields = read("/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ") ?? []
    let ticks = fields.count > 12 ? (Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0) : 0
    return ticks / Double(sysconf(CInt(_SC_CLK_TCK)))
  }

  private static func read(_ path: String) -> String { Files.text(path) ?? "" }

  private static func number(_ name: String, in text: String) -> Int {
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      return Int(line.dropFirst(name.count).drop { $0 == " " || $0 == "\t" }.prefix { $0.isNumber }) ?? 0
    }
    return 0
  }
}
