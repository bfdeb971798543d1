import CSQLite
import Glibc
import ParleyCommands
import ParleyRuntime
import ParleySQLite

extension BackendPlugin {
  /// The embedded default, which every executable carries.
  public static let sqlite = BackendPlugin(
    description: SQLiteOptions.description,
    make: { loop, settings throws(SeamError) in SQLiteBackend(loop: loop, options: SQLiteOptions(settings)) },
    diagnose: { settings, _ in SQLiteDiagnosis(options: SQLiteOptions(settings)).findings() },
    versions: [("library", unsafe String(cString: sqlite3_libversion())), ("schema", "1")])
}
