/// A backend that can close a topic to all but its members; those that cannot do not conform.
///
/// Only conversations (`~…`) are such topics. Whoever runs the server may read them all the same.
public protocol PrivateTopics: Backend {
  /// Lets participants into the closed room of a topic, which is made where there is none, with ourselves in it.
  ///
  /// May be repeated: who is in already stays so. Throws `invalidRequest` for a handle whose account is not known
  /// (S13), before anything is made.
  func admit(_ handles: [Handle], to topic: Topic, deadline: LoopInstant) async throws(SeamError)
}
