import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// The headers in which a stateless request repeats parts of its body, so that whatever stands between can route by
/// them (revision 2026-07-28, "Streamable HTTP", "Standard headers").
enum StatelessHeaders {
  /// Throws where one is missing, or says something else than the body.
  static func check(_ head: RequestHead, method: JSONSlice, params: JSONSlice?) throws(RPCError) {
    let version = try single("MCP-Protocol-Version", head)
    guard let version else { throw mismatch("the header MCP-Protocol-Version is missing") }
    if let stated = StatelessMeta.version(in: params)?.string, stated != version {
      throw mismatch("the header MCP-Protocol-Version differs from params._meta")
    }
    try StatelessMeta.check(params)
    try compare("Mcp-Method", head, with: method)
    guard let name = nameMember(of: method) else { return }
    try compare("Mcp-Name", head, with: params?.member(name))
  }

  /// The member of the params that Mcp-Name repeats.
  private static func nameMember(of method: JSONSlice) -> String? {
    if method.isString("tools/call") || method.isString("prompts/get") { return "name" }
    // The extension io.modelcontextprotocol/tasks, "Routing Headers".
    if ["tasks/get", "tasks/update", "tasks/cancel"].contains(where: { method.isString($0) }) { return "taskId" }
    return method.isString("resources/read") ? "uri" : nil
  }

  private static func compare(_ name: String, _ head: RequestHead, with value: JSONSlice?) throws(RPCError) {
    guard let given = try single(name, head) else { throw mismatch("the header \(name) is missing") }
    guard let decoded = decoded(given) else { throw mismatch("the header \(name) is not well encoded") }
    guard value?.isString(decoded) == true else { throw mismatch("the header \(name) differs from the body") }
  }

  private static func single(_ name: String, _ head: RequestHead) throws(RPCError) -> String? {
    let values = head.fields.all(name)
    guard values.count <= 1 else { throw mismatch("the header \(name) is there more than once") }
    return values.first
  }

  private static func mismatch(_ text: String) -> RPCError { RPCError(.headerMismatch, "Header mismatch: \(text)") }

  /// Text that a header cannot carry stands in it as `=?base64?…?=`; nil where that is not well formed.
  static func decoded(_ value: String) -> String? {
    guard value.hasPrefix("=?base64?"), value.hasSuffix("?="), value.utf8.count >= 11 else { return value }
    guard let bytes = Base64.decode(String(value.dropFirst(9).dropLast(2))) else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }
}
