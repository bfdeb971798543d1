import ParleyHTTPClient
import ParleyRuntime

/// A topic's room, joined.
struct Room: Hashable, Sendable {
  let topic: Topic
  let id: String
  /// Stands for the room in cursors.
  let generation: String
  /// The path of its requests, below `/_matrix/client/`.
  let path: String

  init(topic: Topic, id: String) {
    self.topic = topic
    self.id = id
    generation = SHA256.hexadecimal(id, digits: 8)
    path = "v3/rooms/" + URLText.encode(id)
  }

  /// The cursor just after an event.
  func cursor(after event: String) -> Cursor { LogPlace(generation: generation, native: .after(event)).cursor }

  /// The cursor before everything.
  var start: Cursor { LogPlace(generation: generation, native: .start).cursor }
}
