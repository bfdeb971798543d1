/// One thing that is wrong, and where.
package struct ConfigurationProblem: Hashable, Sendable, CustomStringConvertible {
  /// The file's path as the user knows it; nil where there is no file.
  package let file: String?
  /// The line in it, from 1.
  package let line: Int?
  /// The key with those above it, joined by dots, list elements by their number from 0: `post_topics.1`. Empty for the
  /// file as a whole.
  package let keyPath: String
  /// What is wrong there.
  package let finding: Finding

  init(file: String?, line: Int?, keyPath: String = "", _ finding: Finding) {
    self.file = file
    self.line = line
    self.keyPath = keyPath
    self.finding = finding
  }

  /// What is wrong.
  package var message: String { finding.message }
  /// What would be right.
  package var allowed: String? { finding.allowed }

  /// The word that a mistyped one probably meant.
  package var suggestion: String? {
    let word =
      switch finding {
      case .unknownKey: String(keyPath.split(separator: ".").last ?? "")
      case .notAChoice(let value, _), .unknownBackend(let value, _, _): value
      default: ""
      }
    return EditDistance.nearest(to: word, among: finding.candidates)
  }

  /// `file:line: key.path: message; did you mean "x"? allowed: …`
  package var description: String {
    var place = file ?? "(no configuration)"
    if let line { place += ":\(line)" }
    var text = keyPath.isEmpty ? "\(place): \(message)" : "\(place): \(keyPath): \(message)"
    if let suggestion { text += "; did you mean \(quoted(suggestion))?" }
    if let allowed { text += (suggestion == nil ? "; " : " ") + "allowed: \(allowed)" }
    return text
  }
}

/// Everything that is wrong with a configuration, in the order of the file.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// At least one.
  package let problems: [ConfigurationProblem]
  /// What else was noticed.
  package let warnings: [ConfigurationProblem]

  init(problems: [ConfigurationProblem], warnings: [ConfigurationProblem] = []) {
    self.problems = problems.inFileOrder
    self.warnings = warnings.inFileOrder
  }

  package var description: String { problems.map(\.description).joined(separator: "\n") }

  /// Whether it names a backend that the program does not carry.
  package var namesUnknownBackend: Bool {
    problems.contains { if case .unknownBackend = $0.finding { true } else { false } }
  }

  /// The same, but for the unknown backend alone, and with the reason why no other program serves it: what else is
  /// wrong was judged without that backend's keys.
  package func explainingUnknownBackend(_ reason: String) -> ConfigurationError {
    ConfigurationError(
      problems: problems.compactMap { problem in
        guard case .unknownBackend(let name, let names, _) = problem.finding else { return nil }
        return ConfigurationProblem(
          file: problem.file, line: problem.line, keyPath: problem.keyPath,
          .unknownBackend(name, among: names, sibling: reason))
      }, warnings: [])
  }
}

extension [ConfigurationProblem] {
  /// By line; those of one line stay as they were found.
  var inFileOrder: [ConfigurationProblem] {
    enumerated().sorted { ($0.element.line ?? 0, $0.offset) < ($1.element.line ?? 0, $1.offset) }.map(\.element)
  }
}
