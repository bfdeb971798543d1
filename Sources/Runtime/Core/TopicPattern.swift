/// One of the `post_topics` patterns: a regular expression that must match a whole topic name.
///
/// Names come from callers, and the engine backtracks: so patterns that could take exponential or high polynomial time
/// are refused when they are read. Classes such as `\d` are ASCII, and matching is by Unicode scalar, as in JavaScript.
public struct TopicPattern {
  /// Repetitions without an upper bound that a pattern may have: with three, a name of 255 bytes costs milliseconds.
  static let unboundedLimit = 3

  private let regex: Regex<AnyRegexOutput>

  /// Compiles a pattern. Throws `badArgument`, whose reason says why it cannot be used.
  public init(_ source: String) throws(HubError) {
    if let danger = Self.danger(in: source) {
      throw .badArgument(name: "pattern", reason: danger)
    }
    do {
      regex = try Regex(source).asciiOnlyCharacterClasses().matchingSemantics(.unicodeScalar)
    } catch {
      throw .badArgument(name: "pattern", reason: "\(error)")
    }
  }

  /// Whether the whole name matches; a failure of the engine is no match.
  public func matches(_ name: String) -> Bool { ((try? regex.wholeMatch(in: name)) ?? nil) != nil }

  /// Why matching could take very long: a repeated group that itself repeats or branches, or too many open repetitions.
  static func danger(in source: String) -> String? {
    var groups: [Bool] = []  // whether each open group repeats or branches inside
    var unbounded = 0
    var closedIsBusy = false
    var scalars = Array(source.unicodeScalars)[...]
    while let scalar = scalars.popFirst() {
      let afterGroup = closedIsBusy
      closedIsBusy = false
      switch scalar {
      case "\\": _ = scalars.popFirst()
      case "[":
        // A class holds no repetition; `]` ends it, unless it is escaped.
        while let inner = scalars.popFirst(), inner != "]" { if inner == "\\" { _ = scalars.popFirst() } }
      case "(": groups.append(false)
      case ")":
        closedIsBusy = groups.popLast() ?? false
        if closedIsBusy, let outer = groups.indices.last { groups[outer] = true }
        if !closedIsBusy { continue }
        if let next = scalars.first, !"*+{".unicodeScalars.contains(next) { closedIsBusy = false }
      case "|": if let group = groups.indices.last { groups[group] = true }
      case "*", "+", "{":
        if afterGroup { return "a repeated group must not repeat or branch inside: matching it could take for ever" }
        if scalar != "{" || scalars.prefix(while: { $0 != "}" }).contains(",") { unbounded += 1 }
        if let group = groups.indices.last { groups[group] = true }
      default: break
      }
    }
    guard unbounded <= unboundedLimit else {
      return "at most \(unboundedLimit) open repetitions, this has \(unbounded): matching it could take very long"
    }
    return nil
  }
}
