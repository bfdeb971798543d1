extension Handle {
  /// Why nobody may go by this name, as the rest of a sentence that begins with it; nil where somebody may.
  ///
  /// A handle stands in lines that people and programs read: it must not begin another, nor look like another.
  package func problem(limit: Int) -> String? {
    if name.utf8.count > limit { return "is over \(limit) bytes long" }
    if isUnclear { return "contains control or invisible characters" }
    if isReserved || name.isEmpty { return "is nobody's name" }
    return nil
  }

  /// It contains what is invisible, or reorders text.
  package var isUnclear: Bool { VisibleText.visible(name, keepsLines: false) != name }

  /// A blank name cannot be told from none, and these two stand for everyone and for Parley itself.
  package var isReserved: Bool {
    let isBlank = !name.isEmpty && name.unicodeScalars.allSatisfy(\.properties.isWhitespace)
    return isBlank || ["all", "system"].contains(name)
  }
}
