import ParleyRuntime

/// What the chatroom system kept in files beside a project, one JSON object a line: `.chatroom_v2/`, which has topics, or
/// else the older `.chatroom/`, which the newer form does not look at either.
package struct ChatroomFiles: Hashable, Sendable {
  private static let byteLimit = 64 << 20

  package let messages: String
  package let summaries: String
  package let cursors: String
  package let topics: String

  /// The files of the project's chatroom; nil where there are none.
  package init?(in surroundings: Surroundings) {
    let root = ProjectDefaults.chatroomRoot(Project(of: surroundings), in: surroundings)
    let folders = [".chatroom_v2", ".chatroom"].map { Path.join(root, $0) }
    guard
      let (folder, messages) = folders.lazy.compactMap({ folder in
        Self.text(Path.join(folder, "messages.jsonl")).map { (folder, $0) }
      }).first
    else { return nil }
    self.messages = messages
    summaries = Self.text(Path.join(folder, "summaries.jsonl")) ?? ""
    cursors = Self.text(Path.join(folder, "cursors.json")) ?? "{}"
    topics = Self.text(Path.join(folder, "topics.json")) ?? "{}"
  }

  /// Nil where the file is missing, no UTF-8, or larger than any that is taken over.
  private static func text(_ path: String) -> String? {
    do throws(SystemError) {
      let bytes = try FileSystem.read(path, limit: byteLimit)
      return bytes.count <= byteLimit ? String(validating: bytes, as: UTF8.self) : nil
    } catch {
      return nil
    }
  }
}
