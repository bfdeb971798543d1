import Glibc
import ParleyCommands
import ParleyRuntime
import ParleySQLite

/// What `doctor` looks at beside the database: files, rights, the WAL's size, inotify.
struct SQLiteDiagnosis {
  let options: SQLiteOptions

  func findings() -> [Finding] {
    guard let database = status(of: options.path) else {
      return [Finding(.note, "file", "\(options.path) does not exist yet", fix: "it is made by the first connection")]
    }
    return rights(of: database) + walSize() + watches() + integrity()
  }

  /// Asked by path alone: another descriptor on a live database would drop the process's locks when it is closed.
  private func status(of path: String) -> stat? {
    var result = stat()
    return unsafe stat(path, &result) == 0 ? result : nil
  }

  private func rights(of database: stat) -> [Finding] {
    let open = ["", "-wal", "-shm", "-notify"].map { options.path + $0 }.filter { path in
      status(of: path).map { $0.st_mode & 0o077 != 0 } ?? false
    }
    guard open.isEmpty else {
      return [
        Finding(
          .warning, "rights", "others than the owner may read or write \(open.joined(separator: ", "))",
          fix: "chmod 600 \(open.joined(separator: " "))")
      ]
    }
    return [Finding(.ok, "rights", "only the owner may read and write \(options.path)")]
  }

  private func walSize() -> [Finding] {
    let megabytes = (status(of: options.path + "-wal")?.st_size ?? 0) >> 20
    guard megabytes >= 64 else { return [Finding(.ok, "wal", "\(megabytes) MiB")] }
    return [
      Finding(
        .warning, "wal", "the write-ahead log is \(megabytes) MiB: some process keeps a read open",
        fix: "find it with 'fuser \(options.path)' and end it")
    ]
  }

  /// Each serving process takes one inotify instance; without one, push is polled.
  private func watches() -> [Finding] {
    guard let text = TextFile.read("/proc/sys/fs/inotify/max_user_instances"),
      let limit = Int(String(decoding: text, as: UTF8.self).filter(\.isNumber))
    else { return [] }
    guard limit < 128 else { return [Finding(.ok, "inotify", "\(limit) instances for each user")] }
    return [
      Finding(
        .warning, "inotify", "only \(limit) instances for each user; processes beyond that poll every 25 ms",
        fix: "sysctl fs.inotify.max_user_instances=512")
    ]
  }

  private func integrity() -> [Finding] {
    do throws(SeamError) {
      let problem = try SQLiteBackend.quickCheck(options)
      guard let problem else { return [Finding(.ok, "integrity", "PRAGMA quick_check finds nothing")] }
      return [
        Finding(
          .error, "integrity", "the file is damaged: \(problem)",
          fix: "restore it from a backup, or '.recover' it with sqlite3")
      ]
    } catch {
      return [Finding(.error, "integrity", error.description, fix: "see the text")]
    }
  }
}
