extension Draft {
  /// Refuses what no backend may store: text with NUL, and a key that is not 1 to 255 bytes long (S2, S8).
  ///
  /// Backends call it first in `post`. Throws `invalidRequest`.
  public func validate() throws(SeamError) {
    guard (1...255).contains(key.text.utf8.count) else {
      throw SeamError(
        .invalidRequest, operation: "post", cause: "a key has 1 to 255 bytes, this one has \(key.text.utf8.count)")
    }
    let hasNUL =
      topic.name.hasByte(0) || content.hasByte(0) || author.handle.name.hasByte(0) || author.instance.hasByte(0)
      || author.stableInstance.hasByte(0) || key.text.hasByte(0) || inReplyTo?.text.hasByte(0) == true
      || to?.name.hasByte(0) == true || attributes.contains { $0.key.hasByte(0) || $0.value.hasByte(0) }
    guard !hasNUL else { throw SeamError(.invalidRequest, operation: "post", cause: "text with NUL cannot be stored") }
  }
}
