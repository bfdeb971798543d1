import ArgumentParser
import Glibc
import ParleyRuntime

/// `parley bench`: becomes `parley-bench`, so that no floor's library loads elsewhere.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure this machine: latency and throughput beside a plain C floor.",
    discussion: "Takes parley-bench's arguments; see 'parley bench --help'.")

  @Argument(parsing: .captureForPassthrough)
  var arguments: [String] = []

  func run() throws {
    let path = try Siblings.path(of: "parley-bench")
    unsafe setenv("PARLEY_BIN", try Siblings.ownPath(), 1)
    throw Siblings.exec(path, [path] + arguments)
  }
}
