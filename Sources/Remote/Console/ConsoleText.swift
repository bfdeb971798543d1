import ParleyRuntime

/// Text of others in a page: as text and nothing else. What would move, hide or reorder text is shown by its code point
/// (`VisibleText`), what has a meaning in HTML is escaped, and its writing direction ends with it.
enum ConsoleText {
  /// One line, cut at so many bytes.
  static func line(_ text: String, bytes: Int = 200) -> String {
    let cut = text.prefix(bytes: bytes)
    let shown = HTMLPage.escape(VisibleText.visible(cut, keepsLines: false))
    return "<bdi>\(shown)\(cut.utf8.count < text.utf8.count ? "…" : "")</bdi>"
  }

  /// Lines, cut at so many bytes; `isCut` where there is more.
  static func block(_ text: String, bytes: Int) -> (html: String, isCut: Bool) {
    let cut = text.prefix(bytes: bytes)
    let shown = HTMLPage.escape(VisibleText.visible(cut))
    // A box of its own that scrolls: however much there is, and however high its characters are piled, it stays there.
    return ("<div class=\"said\" dir=\"auto\" tabindex=\"0\">\(shown)</div>", cut.utf8.count < text.utf8.count)
  }

  /// A time for people, to the minute, in UTC.
  static func time(_ milliseconds: Int64) -> String {
    let text = Timestamp.text(milliseconds)
    return "<time datetime=\"\(text)\">\(text.prefix(10)) \(text.dropFirst(11).prefix(5)) UTC</time>"
  }

  /// A text as it may stand in an `id` or an address, whatever is in it.
  static func name(_ text: String) -> String { FormFields.encode(text) }

  /// Text as browsers send it, with the line ends that were typed (HTML Living Standard, form submission: CRLF).
  static func typed(_ text: String) -> String {
    text.split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "\n")
  }

  /// A field that is sent along unseen.
  static func hidden(_ name: String, _ value: String) -> String {
    "<input type=\"hidden\" name=\"\(name)\" value=\"\(HTMLPage.escape(value))\">"
  }
}
