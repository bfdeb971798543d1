import ParleyCommands
import ParleyNATS
import ParleyRuntime

extension BackendPlugin {
  /// NATS JetStream.
  static let nats = BackendPlugin(
    description: NATSOptions.description,
    make: { loop, settings throws(SeamError) in NATSBackend(loop: loop, options: try NATSOptions(settings)) },
    diagnose: { settings, _ in await NATSDiagnosis(settings: settings).findings() },
    versions: [("cnats", NATSBackend.libraryVersion)])
}
