import ParleyRuntime

/// Whether a name can stand for a participant: it shows as it is, is not blank, and means neither everyone nor Parley.
enum ParticipantName {
  /// Names that stand for nobody: what a person would take for everyone, or for Parley itself.
  static let nobody: Set<String> = ["all", "system"]

  /// Throws what is wrong with the name; `argument` is what the caller calls it.
  static func check(_ handle: Handle, _ argument: String, limit: Int) throws(HubError) {
    let name = handle.name
    guard name.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
      throw .badArgument(name: argument, reason: "must not be blank")
    }
    guard VisibleText.visible(name, keepsLines: false) == name else {
      throw .badArgument(name: argument, reason: "must not contain control or invisible characters")
    }
    guard name.utf8.count <= limit else { throw .overLimit(what: argument, bytes: name.utf8.count, limit: limit) }
    guard !nobody.contains(name) else {
      throw .badArgument(name: argument, reason: "\"\(name)\" is no participant")
    }
  }
}
