import ParleyConfiguration
import ParleyMCP
import ParleyRuntime

extension CompatOptions {
  /// The tool sets that a configuration names.
  init(_ configuration: Configuration) {
    self.init()
    guarded = Set(configuration.livePush.from)
    let (sets, options) = (configuration.compat.sets, configuration.compat.options)
    if sets.contains("backchannel") {
      let block = options.block("backchannel")
      var options = Backchannel.Options()
      options.prefix = block.string("prefix")
      options.writesPerMinute = block.integer("writes_per_minute")
      backchannel = options
    }
  }
}
