import ParleyCommands
import ParleyFileLog
import ParleyRuntime

extension BackendPlugin {
  /// A directory of append-only files.
  static let fileLog = BackendPlugin(
    description: FileLogOptions.description,
    make: { loop, settings throws(SeamError) in FileLogBackend(loop: loop, options: FileLogOptions(settings)) })
}
