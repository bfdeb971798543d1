import ParleyRuntime

/// A text with places in braces that are filled from a webhook's body: `{pull_request.title}` is the member of a member,
/// `{commits.0.id}` that of a list's first element, `{@event}` GitHub's event, `{@body}` the whole body; `{{` is a brace.
/// What is not there is nothing.
package struct HookTemplate: Hashable, Sendable {
  static let github = "{@event} {action} in {repository.full_name} by {sender.login}"
  private static let valueLimit = 4_096

  private enum Part: Hashable {
    case text(String)
    case path([String])
  }

  private var parts: [Part] = []

  package init(_ text: String) {
    var rest = text[...]
    while let brace = rest.firstIndex(of: "{") {
      if brace > rest.startIndex { parts.append(.text(String(rest[..<brace]))) }
      rest = rest[rest.index(after: brace)...]
      if rest.first == "{" {
        parts.append(.text("{"))
        rest.removeFirst()
        continue
      }
      guard let end = rest.firstIndex(of: "}") else {
        parts.append(.text("{"))
        break
      }
      parts.append(.path(rest[..<end].split(separator: ".").map(String.init)))
      rest = rest[rest.index(after: end)...]
    }
    if !rest.isEmpty { parts.append(.text(String(rest))) }
  }

  /// The text for a body, cut to `limit` bytes and without NUL; never empty.
  package func text(_ body: [UInt8], event: String?, limit: Int) -> String {
    let json = try? JSONSlice(body, depth: 64, limit: max(body.count, 1))
    var text = ""
    for part in parts {
      switch part {
      case .text(let constant): text += constant
      case .path(["@event"]): text += event.map { String($0.prefix(64)) } ?? ""
      case .path(["@body"]): text += String(decoding: body, as: UTF8.self)
      case .path(let path): text += json.flatMap { Self.value(at: path, in: $0) } ?? ""
      }
    }
    text = String(text.unicodeScalars.filter { $0 != "\0" }.map(Character.init))
    guard text.contains(where: { !$0.isWhitespace }) else { return "(nothing)" }
    return text.utf8.count <= limit ? text : text.prefix(bytes: max(0, limit - 4)) + "…"
  }

  private static func value(at path: [String], in json: JSONSlice) -> String? {
    var place = json
    for name in path {
      let next: JSONSlice? =
        place.kind == .array
        ? Int(name).flatMap { index in place.elements.enumerated().first { $0.offset == index }?.element }
        : place.member(name)
      guard let next else { return nil }
      place = next
    }
    switch place.kind {
    case .null: return nil
    case .string: return place.string?.prefix(bytes: valueLimit)
    default: return String(decoding: place.bytes, as: UTF8.self).prefix(bytes: valueLimit)
    }
  }
}
