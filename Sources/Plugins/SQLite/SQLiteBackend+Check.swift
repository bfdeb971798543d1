import ParleyRuntime

extension SQLiteBackend {
  /// What `PRAGMA quick_check` says first, nil when it finds nothing.
  ///
  /// Blocks while it reads the whole file: for `doctor`, never for a process that serves. Throws what opening throws.
  public static func quickCheck(_ options: SQLiteOptions) throws(SeamError) -> String? {
    do throws(SQLiteFailure) {
      let connection = try SQLiteConnection(path: options.path, create: false)
      connection.waitForLocks(upTo: .seconds(5))
      let answer = try connection.text("PRAGMA quick_check(1)")
      return answer == "ok" ? nil : answer
    } catch {
      throw error.seamError("check \(options.path)")
    }
  }
}
