extension Page {
  /// The part of the page whose content is at most so many bytes, and at least one message: the beginning where reading
  /// goes forward, the newest part where it goes back. What is left out is reached by `next` or `previous`.
  func cut(toBytes limit: Int, at position: Position) -> Page {
    var bytes = 0
    func fits(_ message: Message) -> Bool {
      bytes += message.content.utf8.count
      return bytes <= limit
    }
    var page = self
    if case .after = position {
      let kept = max(messages.prefix(while: fits).count, min(1, messages.count))
      guard kept < messages.count else { return self }
      page.messages = Array(messages.prefix(kept))
      page.next = messages[kept - 1].cursor
      page.hasMore = true
    } else {
      let kept = max(messages.reversed().prefix(while: fits).count, min(1, messages.count))
      guard kept < messages.count else { return self }
      page.messages = Array(messages.suffix(kept))
      page.previous = page.messages.first?.cursor
      if case .before = position { page.hasMore = true }
    }
    return page
  }
}
