/// Why a message is no event of the part that looked at it; such messages change no state.
package enum EventRefusal: Error, Hashable {
  /// Another part's event, or a plain message.
  case foreign
  /// A version that we do not know.
  case later
  /// Ours, but damaged.
  case malformed
}
