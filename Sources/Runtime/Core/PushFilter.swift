/// Decides which messages concern a session, and which of those are pushed to it.
public struct PushFilter: Hashable, Sendable {
  /// Whose session it is.
  public var author: Author
  /// What it goes by beside the author's handle; nil for nothing else.
  public var name: Handle?
  /// Push only what mentions the handle, or is directed to it.
  public var mentionsOnly = false
  /// Push only what these handles sent; nil for everyone.
  public var senders: Set<Handle>?

  /// A filter that pushes everything that concerns the author.
  public init(author: Author) { self.author = author }

  /// Not sent by this very process, not directed to somebody else, and no bookkeeping: what unread counts and waiting
  /// calls count.
  public func concerns(_ message: Message) -> Bool {
    message.instance != author.instance && (message.to.map(isOwn) ?? true) && !message.isQuiet
  }

  private func isOwn(_ handle: Handle) -> Bool { handle == author.handle || handle == name }

  /// Whether a live session is told at once.
  public func pushes(_ message: Message) -> Bool {
    guard concerns(message), senders?.contains(message.sender) ?? true else { return false }
    return !mentionsOnly || message.to.map(isOwn) ?? false || message.mentions.contains(where: isOwn)
  }
}
