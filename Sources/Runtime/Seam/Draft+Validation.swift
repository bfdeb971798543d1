extension Draft {
  /// Refuses what no backend may store: text with NUL, and a key that is not 1 to 255 bytes long (S2, S8).
  ///
  /// Backends call it first in `post`. Throws `invalidRequest`.
  public func validate() throws(SeamError) {
    guard (1...255).contains(key.text.utf8.count) else {
      throw SeamError(
        .invalidRequest, operation: "post", cause: "a key has 1 to 255 bytes, this one has \(key.text.utf8.count)")
    }
    let texts = [
      topic.name, content, author.handle.name, author.instance, author.stableInstance, key.text, inReplyTo?.text ?? "",
      to?.name ?? "",
    ]
    let hasNUL =
      texts.contains { $0.hasByte(0) } || attributes.contains { $0.key.hasByte(0) || $0.value.hasByte(0) }
    guard !hasNUL else { throw SeamError(.invalidRequest, operation: "post", cause: "text with NUL cannot be stored") }
  }
}
