import ParleyRuntime

extension Message {
  /// Whether the participant of a handle wrote it, as surely as the backend knows: where senders have accounts, from the
  /// participant's own one, or from one that configuration ties to the handle. `account` is nil where they have none.
  func isFrom(_ handle: Handle, account own: String?) -> Bool {
    sender == handle && (own == nil || account == own || provenance == .verified)
  }
}
