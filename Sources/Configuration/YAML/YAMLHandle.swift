import CYaml

/// Owns one libyaml parser over bytes in memory.
///
/// Safe: both pointers live as long as the handle, and no pointer leaves it.
/// libyaml's event parser is a state machine: it does not recurse, whatever the nesting.
@safe struct YAMLHandle: ~Copyable {
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let input: UnsafeMutableBufferPointer<UInt8>

  /// Copies the bytes, which libyaml reads until the handle goes.
  init(_ bytes: [UInt8]) {
    unsafe parser = .allocate(capacity: 1)
    unsafe input = .allocate(capacity: bytes.count)
    _ = unsafe input.initialize(from: bytes)
    // It fails only where malloc does, and then leaves a zeroed parser, whose first parse fails with a memory error.
    _ = unsafe yaml_parser_initialize(parser)
    unsafe yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
    unsafe input.deallocate()
  }

  /// The next event. After a throw the parser is spent.
  mutating func next() throws(YAMLError) -> YAMLEvent {
    var event = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw failure() }
    defer { unsafe yaml_event_delete(&event) }
    return YAMLEvent(kind: unsafe Self.kind(of: event), mark: unsafe Self.mark(event.start_mark))
  }

  private static func kind(of event: yaml_event_t) -> YAMLEvent.Kind {
    switch unsafe event.type {
    case YAML_STREAM_END_EVENT: return .streamEnd
    case YAML_DOCUMENT_START_EVENT: return .documentStart
    case YAML_DOCUMENT_END_EVENT: return .documentEnd
    case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
    case YAML_MAPPING_END_EVENT: return .mappingEnd
    case YAML_ALIAS_EVENT: return .alias(unsafe text(event.data.alias.anchor) ?? "")
    case YAML_SCALAR_EVENT:
      let scalar = unsafe event.data.scalar
      let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      return .scalar(
        unsafe String(decoding: bytes, as: UTF8.self), isPlain: unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE,
        anchor: unsafe text(scalar.anchor), tag: unsafe text(scalar.tag))
    case YAML_SEQUENCE_START_EVENT:
      let start = unsafe event.data.sequence_start
      return .sequenceStart(anchor: unsafe text(start.anchor), tag: unsafe text(start.tag))
    case YAML_MAPPING_START_EVENT:
      let start = unsafe event.data.mapping_start
      return .mappingStart(anchor: unsafe text(start.anchor), tag: unsafe text(start.tag))
    default: return .streamStart
    }
  }

  private func failure() -> YAMLError {
    let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "out of memory"
    let context = unsafe parser.pointee.context.map { unsafe String(cString: $0) }
    // The reader's errors (bytes that are no UTF-8, control characters) come with an offset instead of a mark.
    let isReaderError = unsafe parser.pointee.error == YAML_READER_ERROR
    guard isReaderError else {
      let mark = unsafe Self.mark(parser.pointee.problem_mark)
      return YAMLError(mark: mark, reason: context.map { "\(problem) (\($0))" } ?? problem)
    }
    let before = unsafe input.prefix(parser.pointee.problem_offset)
    let line = unsafe before.reduce(1) { $1 == 0x0A ? $0 + 1 : $0 }
    let column = unsafe before.count - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
    return YAMLError(mark: YAMLNode.Mark(line: line, column: column), reason: problem)
  }

  private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
    unsafe pointer.map { unsafe String(cString: $0) }
  }

  private static func mark(_ mark: yaml_mark_t) -> YAMLNode.Mark {
    YAMLNode.Mark(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
  }
}
