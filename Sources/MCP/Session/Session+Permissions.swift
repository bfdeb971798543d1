import ParleyCoordination
import ParleyRuntime

extension Session {
  /// Tells the client what was decided about a request of its.
  package func tell(_ approval: Approval, code: String) {
    notify("notifications/claude/channel/permission", over: nil) { line in
      line.key("request_id")
      line.string(code)
      line.key("behavior")
      line.string(approval.rawValue)
    }
  }
}

extension PermissionRequest {
  /// A field has at most so many bytes; Claude Code cuts at 3,500 code points.
  private static let fieldBytes = 16_384

  /// Reads the params of a `permission_request`; nil where one is missing or no text.
  init?(params: JSONSlice) {
    func text(_ name: String) -> String? { params.member(name)?.string?.prefix(bytes: Self.fieldBytes) }
    guard let code = text("request_id"), let tool = text("tool_name") else { return nil }
    self.init(
      code: code, tool: tool, purpose: text("description") ?? "", preview: text("input_preview") ?? "")
  }
}
