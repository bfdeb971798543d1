import ParleyRuntime

/// What the chatroom system kept in files beside a project: `.chatroom/`, one JSON object a line.
package struct ChatroomFiles: Hashable, Sendable {
  private static let byteLimit = 64 << 20

  package let messages: String
  package let summaries: String
  package let cursors: String

  /// The files of the project's chatroom; nil where there are none.
  package init?(in surroundings: Surroundings) {
    let root = ProjectDefaults.chatroomRoot(Project(of: surroundings), in: surroundings)
    let folder = Path.join(root, ".chatroom")
    guard let messages = Self.text(Path.join(folder, "messages.jsonl")) else { return nil }
    self.messages = messages
    summaries = Self.text(Path.join(folder, "summaries.jsonl")) ?? ""
    cursors = Self.text(Path.join(folder, "cursors.json")) ?? "{}"
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
