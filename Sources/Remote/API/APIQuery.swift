import ParleyRuntime

/// One parameter of a query, as the document describes it and requests are judged by it.
struct APIParameter: Sendable {
  enum Kind: Sendable {
    case text
    case choice([String])
    case integer(ClosedRange<Int>)
    case flag
  }

  let name: String
  let kind: Kind
  var isRequired = false
  let documentation: String

  /// Its JSON Schema.
  var schema: JSONValue {
    switch kind {
    case .text: ["type": "string"]
    case .choice(let words): ["type": "string", "enum": .array(words.map(JSONValue.string))]
    case .integer(let range):
      ["type": "integer", "minimum": .int(Int64(range.lowerBound)), "maximum": .int(Int64(range.upperBound))]
    case .flag: ["type": "boolean"]
    }
  }
}

/// The parameters of one request. What is unknown, given twice or of another kind is refused: a mistyped name would
/// otherwise be a question that nobody asked.
struct APIQuery: Sendable {
  private var values: [String: String] = [:]

  init(_ query: String?, _ parameters: [APIParameter]) throws(HubError) {
    guard let fields = FormFields(query ?? "") else {
      throw .badArgument(name: "query", reason: "it is not UTF-8, or its percent-encoding is wrong")
    }
    for (name, value) in fields.entries {
      guard let parameter = parameters.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
        throw .badArgument(
          name: "query", reason: "the parameters are \(parameters.map(\.name).joined(separator: ", "))")
      }
      guard values.updateValue(value, forKey: parameter.name) == nil else {
        throw .badArgument(name: parameter.name, reason: "is given twice")
      }
      try Self.check(value, parameter)
    }
    for parameter in parameters where parameter.isRequired && values[parameter.name] == nil {
      throw .badArgument(name: parameter.name, reason: "is required")
    }
  }

  func text(_ name: String) -> String? { values[name] }
  func integer(_ name: String) -> Int? { values[name].flatMap { Int($0) } }
  func flag(_ name: String) -> Bool { values[name] == "true" }

  private static func check(_ value: String, _ parameter: APIParameter) throws(HubError) {
    let problem: String? =
      switch parameter.kind {
      case .text: nil
      case .choice(let words): words.contains(value) ? nil : "must be one of \(words.joined(separator: ", "))"
      case .integer(let range):
        Int(value).map(range.contains) == true ? nil : "must be \(range.lowerBound) to \(range.upperBound)"
      case .flag: ["true", "false"].contains(value) ? nil : "must be true or false"
      }
    if let problem { throw .badArgument(name: parameter.name, reason: problem) }
  }
}
