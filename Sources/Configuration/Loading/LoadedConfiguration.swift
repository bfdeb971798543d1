import ParleyRuntime

/// A valid configuration with what was noticed on the way.
package struct LoadedConfiguration: Sendable {
  package let configuration: Configuration
  /// What should be changed, though it works.
  package let warnings: [ConfigurationProblem]
  /// The file it came from; nil when there is none.
  package let path: String?
  /// Holds the handle where nobody configured one and the caller asked for it; to be kept as long as the handle is used.
  package let handleLease: HandleLease?
  /// Every key with its value and origin, for `config show`.
  let root: ResolvedBlock

  /// What `config check` prints: the warnings, then one line that says it is valid.
  package var checkLines: [String] {
    warnings.map { "warning: \($0)" } + ["\(path ?? "no configuration file"): valid"]
  }

  /// What `config show` prints: YAML that means the same, each line with its origin, secrets redacted.
  package var shown: String { ConfigurationText(root, path: path).text }
}

extension ConfigurationError {
  /// What `config check` prints: warnings, problems, then how many there are.
  package var checkLines: [String] {
    let count = problems.count == 1 ? "1 problem" : "\(problems.count) problems"
    return warnings.map { "warning: \($0)" } + problems.map { "error: \($0)" } + [count]
  }
}
