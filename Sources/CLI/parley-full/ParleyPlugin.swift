import ParleyCommands
import ParleyRelay
import ParleyRuntime

extension BackendPlugin {
  /// Another Parley, over its HTTP door.
  static let parley = BackendPlugin(
    description: ParleyOptions.description,
    make: { loop, settings throws(SeamError) in ParleyBackend(loop: loop, options: try ParleyOptions(settings)) })
}
