import ParleyRuntime

/// When state that must outlive the store's retention is posted again.
///
/// A store that keeps messages for a week (or says for how long) loses nothing as long as a process of the participant
/// runs now and then.
package enum Checkpoints {
  /// What the state stands on may be so old; less where the store says that it keeps messages for less than three times
  /// as long.
  static let age: Duration = .seconds(2 * 86_400)
  /// How old what the state stands on may grow on a store.
  package static func age(on traits: BackendTraits) -> Duration {
    traits.retention.map { max(.seconds(3_600), min(age, $0 / 3)) } ?? age
  }

  /// After so many messages too, so that starting reads little.
  static let events = 1_000
  /// Processes that share a topic wait for a random part of this, so that one of them does it.
  static let spread: Duration = .seconds(600)
  /// The attribute that keeps an event from being pushed, counted as unread or waited for.
  static let quiet = Message.quietAttribute
}
