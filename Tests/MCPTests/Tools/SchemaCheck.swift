import ParleyRuntime

/// Checks values against the part of JSON Schema that tool definitions use; an unknown keyword is a fault too.
enum SchemaCheck {
  static func faults(_ value: JSONValue, _ schema: JSONValue, at path: String = "$") -> [String] {
    guard let rules = schema.object else { return ["\(path): the schema is no object"] }
    var faults: [String] = []
    for (keyword, rule) in rules.members {
      switch keyword {
      case "type":
        if !has(value, type: rule.string ?? "?") { faults.append("\(path): is no \(rule.string ?? "?")") }
      case "enum":
        if rule.array?.contains(value) != true { faults.append("\(path): is none of the enum") }
      case "minimum":
        if let number = value.double, let least = rule.double, number < least {
          faults.append("\(path): below minimum")
        }
      case "items":
        for (index, element) in (value.array ?? []).enumerated() {
          faults += Self.faults(element, rule, at: "\(path)[\(index)]")
        }
      case "properties":
        for (name, inner) in rule.object?.members ?? [] {
          if let member = value[name] { faults += Self.faults(member, inner, at: "\(path).\(name)") }
        }
      case "required":
        for name in rule.array ?? [] where value[name.string ?? "?"] == nil {
          faults.append("\(path): lacks \(name.string ?? "?")")
        }
      case "additionalProperties":
        let known = Set(rules["properties"]?.object?.members.map(\.name) ?? [])
        for (name, member) in value.object?.members ?? [] where !known.contains(name) {
          if rule.bool == false { faults.append("\(path): has an unknown \(name)") }
          if rule.object != nil { faults += Self.faults(member, rule, at: "\(path).\(name)") }
        }
      case "description": break
      default: faults.append("\(path): unknown keyword \(keyword)")
      }
    }
    return faults
  }

  private static func has(_ value: JSONValue, type: String) -> Bool {
    switch type {
    case "object": value.object != nil
    case "array": value.array != nil
    case "string": value.string != nil
    case "integer": value.int != nil
    case "boolean": value.bool != nil
    default: false
    }
  }
}
