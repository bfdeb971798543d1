/// Builds the tree of one YAML or JSON document, within bounds that hold against hostile files.
struct YAMLReader: ~Copyable {
  /// The largest file, in bytes.
  static let byteLimit = 1 << 20
  /// How deep blocks and lists may nest.
  static let depthLimit = 64
  /// How many nodes there may be, those that aliases repeat counted each time.
  static let nodeLimit = 100_000

  private struct Anchored {
    let node: YAMLNode
    let weight: Int
    let depth: Int
  }

  private var handle: YAMLHandle
  private var anchors: [String: Anchored] = [:]
  private var nodes = 0

  /// Reads a document. Nil when the file holds nothing but comments.
  static func read(_ bytes: [UInt8]) throws(YAMLError) -> YAMLNode? {
    guard bytes.count <= byteLimit else {
      throw YAMLError(mark: YAMLNode.Mark(line: 1, column: 1), reason: "the file is larger than \(byteLimit) bytes")
    }
    var reader = YAMLReader(handle: YAMLHandle(joiningSurrogates(bytes)))
    _ = try reader.handle.next()  // The stream's start.
    guard case .documentStart = try reader.handle.next().kind else { return nil }
    let first = try reader.handle.next()
    let root = try reader.node(first, depth: 1).node
    _ = try reader.handle.next()  // The document's end.
    let rest = try reader.handle.next()
    guard case .streamEnd = rest.kind else {
      throw YAMLError(mark: rest.mark, reason: "a second document begins here; a file holds one")
    }
    return root
  }

  private mutating func node(_ event: YAMLEvent, depth: Int) throws(YAMLError) -> Anchored {
    try within(depth, event.mark)
    let before = nodes
    try count(1, event.mark)
    let value: YAMLNode.Value
    let anchor: String?
    var height = 1
    switch event.kind {
    case .alias(let name):
      guard let target = anchors[name] else {
        throw YAMLError(mark: event.mark, reason: "no anchor &\(name) is complete before this alias")
      }
      try count(target.weight - 1, event.mark)
      try within(depth + target.depth - 1, event.mark)
      return Anchored(node: YAMLNode(value: target.node.value, mark: event.mark), weight: target.weight, depth: target.depth)
    case .scalar(let text, let isPlain, let name, let tag):
      let isText = try isString(tag, event.mark)
      value = .scalar(text, isPlain: isPlain && !isText)
      anchor = name
    case .sequenceStart(let name, let tag):
      _ = try isString(tag, event.mark)
      var items: [YAMLNode] = []
      while true {
        let next = try handle.next()
        if case .sequenceEnd = next.kind { break }
        let item = try node(next, depth: depth + 1)
        height = max(height, item.depth + 1)
        items.append(item.node)
      }
      value = .sequence(items)
      anchor = name
    case .mappingStart(let name, let tag):
      _ = try isString(tag, event.mark)
      let (entries, inner) = try entries(depth: depth)
      height = max(height, inner)
      value = .mapping(entries)
      anchor = name
    default:
      throw YAMLError(mark: event.mark, reason: "a value is missing")
    }
    let result = Anchored(node: YAMLNode(value: value, mark: event.mark), weight: nodes - before, depth: height)
    if let anchor { anchors[anchor] = result }
    return result
  }

  private mutating func entries(depth: Int) throws(YAMLError) -> ([YAMLNode.Entry], height: Int) {
    var entries: [YAMLNode.Entry] = []
    var lines: [String: Int] = [:]
    var height = 1
    while true {
      let next = try handle.next()
      if case .mappingEnd = next.kind { return (entries, height) }
      guard case .scalar(let key, _, _, _) = next.kind else {
        throw YAMLError(mark: next.mark, reason: "a key must be text")
      }
      if let line = lines.updateValue(next.mark.line, forKey: key) {
        throw YAMLError(mark: next.mark, reason: "the key \(quoted(key)) stands already in line \(line)")
      }
      let value = try node(try handle.next(), depth: depth + 1)
      height = max(height, value.depth + 1)
      entries.append(YAMLNode.Entry(key: key, mark: next.mark, value: value.node))
    }
  }

  /// Whether a tag makes a scalar text, as quotes do; tags other than the core schema's own collections are refused.
  private func isString(_ tag: String?, _ mark: YAMLNode.Mark) throws(YAMLError) -> Bool {
    switch tag {
    case nil, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq": return false
    case "!", "tag:yaml.org,2002:str": return true
    case let tag?: throw YAMLError(mark: mark, reason: "the tag \(tag) has no meaning here")
    }
  }

  private func within(_ depth: Int, _ mark: YAMLNode.Mark) throws(YAMLError) {
    if depth > Self.depthLimit { throw YAMLError(mark: mark, reason: "nested deeper than \(Self.depthLimit) levels") }
  }

  private mutating func count(_ more: Int, _ mark: YAMLNode.Mark) throws(YAMLError) {
    nodes += more
    if nodes > Self.nodeLimit {
      throw YAMLError(mark: mark, reason: "more than \(Self.nodeLimit) values, counting what aliases repeat")
    }
  }

  /// JSON writes characters beyond the basic plane as two `\u` escapes, which YAML does not know: they become one `\U`.
  private static func joiningSurrogates(_ bytes: [UInt8]) -> [UInt8] {
    guard let first = bytes.first(where: { $0 > 0x20 }), first == UInt8(ascii: "{") || first == UInt8(ascii: "["),
      bytes.contains(UInt8(ascii: "\\"))
    else { return bytes }
    func unit(at index: Int) -> UInt32? {
      guard index + 6 <= bytes.count, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") else {
        return nil
      }
      return UInt32(String(decoding: bytes[index + 2..<index + 6], as: UTF8.self), radix: 16)
    }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var index = 0
    while index < bytes.count {
      guard bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.count else {
        result.append(bytes[index])
        index += 1
        continue
      }
      if let high = unit(at: index), (0xD800..<0xDC00).contains(high),
        let low = unit(at: index + 6), (0xDC00..<0xE000).contains(low)
      {
        let scalar = 0x10000 + (high - 0xD800) << 10 + (low - 0xDC00)
        let digits = String(scalar, radix: 16)
        result += Array("\\U\(String(repeating: "0", count: 8 - digits.count))\(digits)".utf8)
        index += 12
      } else {
        result += bytes[index..<index + 2]
        index += 2
      }
    }
    return result
  }
}
