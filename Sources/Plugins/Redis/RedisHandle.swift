import CHiredis

/// hiredis' reply parser; the one place that touches the library's memory.
@safe struct RedisHandle: ~Copyable {
  private let reader: UnsafeMutablePointer<redisReader>

  /// The version of the library that was compiled against.
  static let version = "\(HIREDIS_MAJOR).\(HIREDIS_MINOR).\(HIREDIS_PATCH)"

  /// What the server sent is not RESP, or there is no memory for it.
  struct ProtocolFailure: Error {
    let text: String
  }

  /// Nil when there is no memory.
  init?() {
    guard let reader = unsafe redisReaderCreate() else { return nil }
    unsafe self.reader = reader
  }

  deinit { unsafe redisReaderFree(reader) }

  /// Takes bytes of the server.
  func feed(_ bytes: RawSpan) throws(ProtocolFailure) {
    let result = unsafe bytes.withUnsafeBytes { raw in
      unsafe redisReaderFeed(reader, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
    }
    if result != REDIS_OK { throw failure }
  }

  /// The next whole reply; nil when more bytes are needed. With `isCount`, an array's elements are nulls.
  func next(isCount: Bool = false) throws(ProtocolFailure) -> RedisReply? {
    var object: UnsafeMutableRawPointer?
    guard unsafe redisReaderGetReply(reader, &object) == REDIS_OK else { throw failure }
    guard let object = unsafe object else { return nil }
    defer { unsafe freeReplyObject(object) }
    let reply = unsafe object.assumingMemoryBound(to: redisReply.self).pointee
    if isCount, unsafe reply.type == REDIS_REPLY_ARRAY {
      return .array([RedisReply](repeating: .null, count: unsafe reply.elements))
    }
    return unsafe Self.convert(reply)
  }

  private var failure: ProtocolFailure {
    let text = unsafe withUnsafePointer(to: &reader.pointee.errstr.0) { unsafe String(cString: $0) }
    return ProtocolFailure(text: text)
  }

  private static func convert(_ reply: redisReply) -> RedisReply {
    switch unsafe reply.type {
    case REDIS_REPLY_STRING: return .string(unsafe text(reply))
    case REDIS_REPLY_STATUS: return .status(unsafe text(reply))
    case REDIS_REPLY_ERROR: return .error(unsafe text(reply))
    case REDIS_REPLY_INTEGER: return .integer(Int(unsafe reply.integer))
    case REDIS_REPLY_ARRAY:
      let count = unsafe reply.elements
      return .array(
        (0..<count).map { index in
          guard let element = unsafe reply.element?[index] else { return .null }
          return unsafe convert(element.pointee)
        })
    default: return .null
    }
  }

  private static func text(_ reply: redisReply) -> String {
    guard let start = unsafe reply.str else { return "" }
    return unsafe String(decoding: UnsafeRawBufferPointer(start: start, count: reply.len), as: UTF8.self)
  }
}
