import ParleyRuntime

/// The messages of a topic as the console shows them, the newest first.
struct ConsoleMessages {
  /// Messages of one page.
  static let limit = 50
  /// A message's text is cut here, with a way to the whole of it.
  private static let textBytes = 8 << 10

  let topic: Topic
  /// Where they stand in the log.
  let position: Position
  let page: Page
  /// One message with its whole text.
  let isWhole: Bool
  /// They could be read.
  var isKnown = true

  /// A topic whose messages cannot be read now.
  static func unknown(_ topic: Topic) -> ConsoleMessages {
    let page = Page(messages: [], next: Cursor(""), hasMore: false)
    return ConsoleMessages(topic: topic, position: .latest, page: page, isWhole: false, isKnown: false)
  }

  static func address(
    _ topic: Topic, at position: Position = .latest, reply: MessageID? = nil, isWhole: Bool = false
  ) -> String {
    var address = "\(ConsoleRoute.topic.rawValue)?name=\(FormFields.encode(topic.name))"
    switch position {
    case .latest: break
    case .before(let cursor, _): address += "&before=\(FormFields.encode(cursor.text))"
    case .after(let cursor): address += "&after=\(FormFields.encode(cursor.text))"
    }
    if let reply { address += "&reply=\(FormFields.encode(reply.text))" }
    return isWhole ? address + "&whole=1" : address
  }

  var html: String {
    let shown = page.messages.indices.reversed().filter { !page.messages[$0].isQuiet }
    let none = isKnown ? "Nothing yet." : "The messages cannot be read now."
    let items = shown.isEmpty ? "<li id=\"none\" class=\"hint\">\(none)</li>" : shown.map(item).joined()
    let older = page.previous.map { cursor in
      "<p><a href=\"\(HTMLPage.escape(Self.address(topic, at: .before(cursor))))\">Older messages</a></p>"
    }
    return """
      <ol id="messages" data-live="list" aria-label="Messages, the newest first" aria-live="polite">\(items)</ol>
      \(isWhole ? "" : older ?? "")
      """
  }

  /// The place and time of the newest message, for a read mark; nil where there is none.
  var newest: (cursor: Cursor, storedAt: Int64)? { page.messages.last.map { ($0.cursor, $0.storedAt) } }

  /// Where a message stands by itself: before the next one, or behind the one before it.
  private func place(of index: Int) -> Position {
    if index + 1 < page.messages.count { return .before(page.messages[index + 1].cursor) }
    if case .before = position { return position }
    return index > 0 ? .after(page.messages[index - 1].cursor) : position
  }

  private func item(_ index: Int) -> String {
    let message = page.messages[index]
    let (text, isCut) = ConsoleText.block(message.content, bytes: isWhole ? .max : Self.textBytes)
    let whole = Self.address(topic, at: place(of: index), isWhole: true)
    let reply = Self.address(topic, reply: message.id)
    return """
      <li id="m-\(ConsoleText.name(message.id.text))"><div class="who">\(who(message))\
      <a href="\(HTMLPage.escape(reply))">Reply</a></div>\(answered(message))\(text)\
      \(isCut ? "<p><a href=\"\(HTMLPage.escape(whole))\">The whole message</a></p>" : "")</li>
      """
  }

  private func who(_ message: Message) -> String {
    var parts = ["<strong>\(ConsoleText.line(message.sender.name))</strong>"]
    switch message.provenance {
    case .verified: parts.append("<span class=\"tag sure\">verified</span>")
    case .claimed: parts.append("<span class=\"tag\">claimed</span>")
    }
    if let account = message.account { parts.append("<span class=\"hint\">\(ConsoleText.line(account))</span>") }
    if let to = message.to { parts.append("<span class=\"hint\">to \(ConsoleText.line(to.name))</span>") }
    for name in ["kind", "source", "severity"] {
      guard let value = message.attributes[name] else { continue }
      parts.append("<span class=\"tag\">\(name): \(ConsoleText.line(value, bytes: 64))</span>")
    }
    parts.append("<span class=\"hint\">\(ConsoleText.time(message.storedAt))</span>")
    return parts.joined(separator: " ")
  }

  private func answered(_ message: Message) -> String {
    guard let id = message.inReplyTo else { return "" }
    let name = ConsoleText.line(id.text, bytes: 64)
    return "<p class=\"hint\">in reply to <a href=\"#m-\(ConsoleText.name(id.text))\">\(name)</a></p>"
  }
}
