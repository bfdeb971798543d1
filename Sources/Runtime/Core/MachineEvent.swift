/// The kinds of messages that say what a program reported. Having a kind, none of them is read as a person's command or
/// verdict; `source` and `severity` are attributes.
package enum MachineEvent {
  /// Came by an incoming webhook: whoever knows its secret may have written it.
  package static let hook = "hook"
  /// Was put in by a program of the door's own machine.
  package static let event = "event"

  /// Whether a kind is one of these.
  package static func isOne(_ kind: String?) -> Bool { kind == hook || kind == event }
}
