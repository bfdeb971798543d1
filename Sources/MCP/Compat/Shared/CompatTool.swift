import ParleyRuntime

/// One tool of another system: its definition as that system gives it, and what it does.
struct CompatTool: Tool {
  /// How a set words its refusals: the name of the tool and the refusal to the text of the result.
  typealias Wording = @Sendable (String, Refusal) -> String

  let name: String
  var onlyReads: Bool { effects.readsOnly }
  private let description: String
  private let effects: ToolDefinition.Effects
  private let input: JSONObject
  private let required: [String]
  private let wording: Wording
  private let run: @Sendable (CompatArguments, CallContext) async throws(Refusal) -> ToolContent

  init(
    _ name: String, _ description: String, effects: ToolDefinition.Effects = .init(), input: JSONObject = [:],
    required: [String] = [], wording: @escaping Wording,
    run: @escaping @Sendable (CompatArguments, CallContext) async throws(Refusal) -> ToolContent
  ) {
    self.name = name
    self.description = description
    self.effects = effects
    self.input = input
    self.required = required
    self.wording = wording
    self.run = run
  }

  func definition(for hub: Hub.Setup) -> String {
    ToolDefinition(
      name: name, description: description, effects: effects, input: input, inputRequired: required
    ).text
  }

  func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    do throws(Refusal) {
      return .content(try await run(CompatArguments(arguments), context))
    } catch {
      return .content(ToolContent(blocks: [wording(name, error)], errorCode: error.code))
    }
  }
}

/// Reads the arguments of one call as other systems' servers do: `null` counts as absent, and a number may come as text.
struct CompatArguments: Sendable {
  private let object: JSONSlice

  init(_ object: JSONSlice) { self.object = object }

  private func value(_ name: String) -> JSONSlice? {
    guard let value = object.member(name), !value.isNull else { return nil }
    return value
  }

  private static func wrong(_ name: String, _ reason: String) -> Refusal {
    Refusal(422, "invalid_argument", "\(name) \(reason)")
  }

  func text(_ name: String) throws(Refusal) -> String? {
    guard let value = value(name) else { return nil }
    guard let text = value.string else { throw Self.wrong(name, "must be a string") }
    guard !text.utf8.contains(0) else { throw Self.wrong(name, "must not contain NUL") }
    return text
  }

  func requiredText(_ name: String) throws(Refusal) -> String {
    guard let text = try text(name) else { throw Self.wrong(name, "is required") }
    return text
  }

  func flag(_ name: String) throws(Refusal) -> Bool? {
    guard let value = value(name) else { return nil }
    if let flag = value.bool { return flag }
    switch value.string?.lowercased() {
    case "true": return true
    case "false": return false
    default: throw Self.wrong(name, "must be true or false")
    }
  }

  func integer(_ name: String) throws(Refusal) -> Int? {
    guard let value = value(name) else { return nil }
    if let integer = value.int { return Int(integer) }
    if let number = value.double, let integer = Int(exactly: number) { return integer }
    if let text = value.string, let integer = Int(text) { return integer }
    throw Self.wrong(name, "must be an integer")
  }

  /// An integer that must lie in a range; `code` names the refusal.
  func integer(
    _ name: String, in range: ClosedRange<Int>, default value: Int, code: String = "invalid_argument"
  ) throws(Refusal) -> Int {
    guard let integer = try integer(name) else { return value }
    guard range.contains(integer) else {
      let bounds =
        range.upperBound == .max ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
      throw Refusal(422, code, "\(name) must be \(bounds), not \(integer)")
    }
    return integer
  }

  /// An object as JSON on one line.
  func object(_ name: String) throws(Refusal) -> JSONValue? {
    guard let value = value(name) else { return nil }
    guard value.kind == .object else { throw Self.wrong(name, "must be an object") }
    return JSONValue(value)
  }
}

extension JSONValue {
  /// A text, or `null`.
  static func text(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }

  /// The value as JSON on several lines, two blanks for each level, as the other systems print it.
  var indented: String {
    var text = ""
    write(into: &text, margin: "")
    return text
  }

  private func write(into text: inout String, margin: String) {
    let inner = margin + "  "
    switch self {
    case .array(let elements) where !elements.isEmpty:
      text += "["
      for (index, element) in elements.enumerated() {
        text += (index == 0 ? "\n" : ",\n") + inner
        element.write(into: &text, margin: inner)
      }
      text += "\n" + margin + "]"
    case .object(let object) where object.count > 0:
      text += "{"
      for (index, member) in object.members.enumerated() {
        text += (index == 0 ? "\n" : ",\n") + inner + JSONValue.string(member.name).text + ": "
        member.value.write(into: &text, margin: inner)
      }
      text += "\n" + margin + "}"
    default: text += self.text
    }
  }
}
