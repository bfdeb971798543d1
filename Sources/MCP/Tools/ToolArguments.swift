import ParleyRuntime

/// Reads the arguments of one call by name; what is missing or of another kind is a `badArgument` that says so.
///
/// Unknown names are ignored, and `null` counts as absent: clients send both.
struct ToolArguments {
  private let object: JSONSlice

  init(_ object: JSONSlice) { self.object = object }

  /// The topic to use, checked against the allowlist.
  nonisolated(nonsending) func topic(in hub: Hub) async throws(HubError) -> Topic {
    guard let name = try text("topic") else { throw .badArgument(name: "topic", reason: "is required") }
    let topic = try TopicSpelling.topic(meantBy: name, in: hub)
    try await hub.check(topic)
    return topic
  }

  func text(_ name: String) throws(HubError) -> String? {
    try Self.text(object.member(name), name)
  }

  /// The text of a value that was found already.
  static func text(_ value: JSONSlice?, _ name: String) throws(HubError) -> String? {
    guard let value, !value.isNull else { return nil }
    guard let text = value.string else { throw .badArgument(name: name, reason: "must be a string") }
    return text
  }

  func flag(_ name: String) throws(HubError) -> Bool? {
    guard let value = value(name) else { return nil }
    guard let flag = value.bool else { throw .badArgument(name: name, reason: "must be true or false") }
    return flag
  }

  /// An integer of at least `lowest`; `5.0` counts as one, and what is larger than any use saturates.
  func integer(_ name: String, atLeast lowest: Int) throws(HubError) -> Int? {
    guard let value = value(name) else { return nil }
    if let integer = value.int, integer >= Int64(lowest) { return Int(integer) }
    guard let number = value.double, number.rounded() == number || number.isInfinite, number >= Double(lowest) else {
      throw .badArgument(name: name, reason: "must be an integer of at least \(lowest)")
    }
    return Int(exactly: number) ?? .max
  }

  /// Milliseconds, at least 0.
  func duration(_ name: String) throws(HubError) -> Duration? {
    try integer(name, atLeast: 0).map { .milliseconds(Int64(min($0, 1 << 40))) }
  }

  /// Whole seconds, at least 0.
  func seconds(_ name: String) throws(HubError) -> Duration? {
    try integer(name, atLeast: 0).map { .seconds(Int64(min($0, 1 << 40))) }
  }

  func texts(_ name: String) throws(HubError) -> [String]? {
    guard let value = value(name) else { return nil }
    let wrong = HubError.badArgument(name: name, reason: "must be an array of strings")
    guard value.kind == .array else { throw wrong }
    var texts: [String] = []
    for element in value.elements {
      guard let text = element.string else { throw wrong }
      texts.append(text)
    }
    return texts
  }

  /// The attributes of a value that was found already.
  static func attributes(_ value: JSONSlice?, _ name: String) throws(HubError) -> Attributes? {
    guard let value, !value.isNull else { return nil }
    guard let attributes = value.attributes else {
      throw .badArgument(name: name, reason: "must be an object of strings")
    }
    return attributes
  }

  private func value(_ name: String) -> JSONSlice? {
    guard let value = object.member(name), !value.isNull else { return nil }
    return value
  }
}
