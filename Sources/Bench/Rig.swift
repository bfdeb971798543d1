/// What every scenario needs: the two programs and how much to do.
struct Rig {
  /// The parley binary under test.
  let parley: String
  /// This program, which is also the floors'.
  let bench: String
  /// Where databases are made: its file system is measured too.
  let directory: String
  let rounds: Int
  /// Requests per round with one outstanding; pipelined rounds do four times as many.
  let messages: Int
  /// The server under test; nil for SQLite.
  var target: ServerTarget?

  /// A floor as a child.
  func floor(_ arguments: [String], _ workspace: Workspace, wide: Bool = false) throws(BenchError) -> Peer {
    Peer(try ChildProcess([bench, "floor"] + arguments, errors: workspace.errors, wide: wide))
  }

  /// Measures the floor and Parley in turn, so that both meet the same machine, `rounds` times.
  func interleaved<A, B>(
    floor: (Int) throws(BenchError) -> A, parley: (Int) throws(BenchError) -> B
  ) throws(BenchError) -> (floor: [A], parley: [B]) {
    var results: (floor: [A], parley: [B]) = ([], [])
    for round in 0..<rounds {
      results.floor.append(try Watchdog.limit(seconds: 120) { () throws(BenchError) in try floor(round) })
      results.parley.append(try Watchdog.limit(seconds: 120) { () throws(BenchError) in try parley(round) })
    }
    return results
  }

  /// Runs `body` in a new workspace; a failure carries what the children said.
  func inWorkspace<T>(_ body: (Workspace) throws(BenchError) -> T) throws(BenchError) -> T {
    let workspace = try Workspace(in: directory)
    do { return try body(workspace) } catch {
      throw BenchError("\(error)\n\(workspace.complaints)")
    }
  }
}
