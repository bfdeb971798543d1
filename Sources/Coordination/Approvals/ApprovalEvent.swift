import ParleyRuntime

/// What a session asks leave for (Claude Code's permission relay; every field is the client's, and untrusted).
public struct PermissionRequest: Hashable, Sendable {
  /// Five letters, `a` to `z` without `l`, by which it is answered.
  public var code: String
  /// The tool that would be run.
  public var tool: String
  /// What for.
  public var purpose: String
  /// The beginning of the tool's input.
  public var preview: String

  /// Nil where the code is none.
  public init?(code: String, tool: String, purpose: String, preview: String) {
    guard Self.isCode(code) else { return nil }
    self.code = code
    self.tool = tool
    self.purpose = purpose
    self.preview = preview
  }

  /// Whether a text can be a code.
  public static func isCode(_ text: String) -> Bool {
    text.utf8.count == 5
      && text.utf8.allSatisfy { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) && $0 != UInt8(ascii: "l") }
  }
}

/// What somebody answers.
public enum Approval: String, Hashable, Sendable {
  case allow
  case deny

  var word: String { self == .allow ? "yes" : "no" }
}

/// What the approvals' topic carries: the request, what people answer, and what became of it.
enum ApprovalEvent {
  static let requestKind = "approval.request"
  static let verdictKind = "approval.verdict"
  static let resultKind = "approval.result"
  /// The attribute of a verdict that proves the secret.
  static let proof = "mac"

  /// The message that asks; everything that is asked stands in it.
  static func request(
    _ request: PermissionRequest, from handle: Handle, on host: String, lifetime: Int64
  ) -> EventText {
    func shown(_ text: String, keepsLines: Bool = true) -> String { VisibleText.visible(text, keepsLines: keepsLines) }
    let minutes = max(1, lifetime / 60_000)
    var text = "\(shown(handle.name, keepsLines: false)) on \(shown(host, keepsLines: false)) asks for leave to use "
    text += "\(shown(request.tool, keepsLines: false))"
    if !request.purpose.isEmpty { text += "\n\n\(shown(request.purpose))" }
    if !request.preview.isEmpty { text += "\n\n\(shown(request.preview))" }
    text += "\n\nAnswer \"yes \(request.code)\" or \"no \(request.code)\" within \(minutes) minutes."
    return (
      text,
      [
        "kind": requestKind, "code": request.code, "host": host.prefix(bytes: 256), "ttl_ms": String(lifetime),
      ]
    )
  }

  /// The line that says what became of a request.
  static func result(_ code: String, _ approval: Approval, by: Handle?, request: MessageID) -> EventText {
    let verdict = approval == .allow ? "allowed" : "denied"
    let who = by.map { "by \(VisibleText.visible($0.name, keepsLines: false))" } ?? "since nobody answered in time"
    return ("\(code) \(verdict) \(who)", ["kind": resultKind, "code": code, "verdict": approval.rawValue])
  }

  /// The verdict in a plain text: `yes abcde`, or in a reply to the request `yes` alone; nil for anything else. A code
  /// is nil where only the reply says what is meant.
  static func verdict(in text: String) -> (approval: Approval, code: String?)? {
    let words = text.split(whereSeparator: \.isWhitespace).map { $0.lowercased() }
    guard let first = words.first, words.count <= 2 else { return nil }
    let approval: Approval
    switch first {
    case "y", "yes": approval = .allow
    case "n", "no": approval = .deny
    default: return nil
    }
    guard words.count == 2 else { return (approval, nil) }
    return PermissionRequest.isCode(words[1]) ? (approval, words[1]) : nil
  }

  /// The verdict in a reaction to the request: a thumb, a tick or a cross, whatever its colour; nil for any other sign.
  static func verdict(ofReaction sign: String) -> Approval? {
    // Presentation (U+FE0E, U+FE0F) and skin (U+1F3FB to U+1F3FF) do not change what is meant.
    let plain = sign.unicodeScalars.filter {
      !(0xFE0E...0xFE0F).contains($0.value) && !(0x1F3FB...0x1F3FF).contains($0.value)
    }
    switch plain.map(\.value) {
    case [0x1F44D], [0x2705], [0x2714], [0x2611]: return .allow
    case [0x1F44E], [0x274C], [0x2716], [0x1F6AB], [0x26D4]: return .deny
    default: return nil
    }
  }

  /// What a message answers, and under which code; nil where it is no verdict.
  static func verdict(of message: Message) -> (approval: Approval, code: String?)? {
    guard message.kind == Message.reactionKind else { return verdict(in: message.content) }
    guard message.inReplyTo != nil, let approval = verdict(ofReaction: message.content) else { return nil }
    return (approval, nil)
  }

  /// Whether a message proves the secret for this verdict about this request.
  static func isProven(
    _ message: Message, _ approval: Approval, code: String, request: MessageID, rules: ApprovalRules
  ) -> Bool {
    guard let secret = rules.secret, message.kind == verdictKind, let proof = message.attributes[proof],
      rules.approvers.contains(message.sender)
    else { return false }
    let text = proofText(approval, code: code, request: request, topic: rules.topic, by: message.sender)
    return HMACSHA256.areEqual(proof, HMACSHA256.hexadecimal(of: text, key: secret))
  }

  /// What a verdict's proof is made over. Lengths stand before what others choose, so that no two verdicts share a text.
  static func proofText(
    _ approval: Approval, code: String, request: MessageID, topic: Topic, by handle: Handle
  ) -> String {
    let parts = [topic.name, request.text, handle.name].map { "\($0.utf8.count):\($0)" }.joined()
    return "parley approval 1\n\(approval.rawValue) \(code)\n\(parts)"
  }
}
