import CHiredis
import Glibc

/// hiredis' reply parser; with `ReplyView`, the one place that touches the library's memory.
@safe struct RedisHandle: ~Copyable {
  private let reader: UnsafeMutablePointer<redisReader>
  /// The reply that was lent last. It is freed when the next was handed on, which may be what its news waits for.
  private var lent: UnsafeMutableRawPointer?

  /// The version of the library that was compiled against.
  static let version = "\(HIREDIS_MAJOR).\(HIREDIS_MINOR).\(HIREDIS_PATCH)"

  /// What is given to the parser at a time: it moves all that is left of it for every kilobyte it has read.
  static let fedAtOnce = 16 << 10

  /// What the server sent is not RESP, or there is no memory for it.
  struct ProtocolFailure: Error {
    let text: String
  }

  /// Nil when there is no memory.
  init?() {
    guard let reader = unsafe redisReaderCreate() else { return nil }
    unsafe self.reader = reader
  }

  deinit {
    unsafe freeReplyObject(lent)
    unsafe redisReaderFree(reader)
  }

  /// Takes bytes of the server.
  func feed(_ bytes: RawSpan) throws(ProtocolFailure) {
    let result = unsafe bytes.withUnsafeBytes { raw in
      unsafe redisReaderFeed(reader, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
    }
    if result != REDIS_OK { throw failure }
  }

  /// Lends the next whole reply; false when more bytes are needed.
  mutating func next(_ body: (ReplyView) -> Void) throws(ProtocolFailure) -> Bool {
    var object: UnsafeMutableRawPointer?
    guard unsafe redisReaderGetReply(reader, &object) == REDIS_OK else { throw failure }
    guard let object = unsafe object else {
      unsafe freeReplyObject(lent)
      unsafe lent = nil
      return false
    }
    body(unsafe ReplyView(object.assumingMemoryBound(to: redisReply.self)))
    unsafe freeReplyObject(lent)
    unsafe lent = object
    return true
  }

  private var failure: ProtocolFailure {
    let text = unsafe withUnsafePointer(to: &reader.pointee.errstr.0) { unsafe String(cString: $0) }
    return ProtocolFailure(text: text)
  }
}

/// A reply in the parser's own memory, so that what nobody wants of it is never copied.
//
// @safe: lent for the length of one call (`RedisHandle.next`), never kept.
@safe struct ReplyView: ReplyNode {
  private let reply: UnsafeMutablePointer<redisReply>

  fileprivate init(_ reply: UnsafeMutablePointer<redisReply>) { unsafe self.reply = reply }

  private var type: CInt { unsafe reply.pointee.type }

  private var bytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: reply.pointee.str, count: reply.pointee.str == nil ? 0 : reply.pointee.len)
  }

  private var isText: Bool { type == REDIS_REPLY_STRING || type == REDIS_REPLY_STATUS }

  /// How many elements an array has; none for anything else.
  var count: Int { type == REDIS_REPLY_ARRAY ? unsafe reply.pointee.elements : 0 }

  func node(_ index: Int) -> ReplyView? {
    guard index < count, let element = unsafe reply.pointee.element?[index] else { return nil }
    return unsafe ReplyView(element)
  }

  /// The text of a string or status; bytes that are not UTF-8 are repaired.
  var text: String? { isText ? unsafe String(decoding: bytes, as: UTF8.self) : nil }

  /// The number of an integer.
  var integer: Int? { type == REDIS_REPLY_INTEGER ? Int(unsafe reply.pointee.integer) : nil }

  /// The text of an error of the server.
  var errorText: String? { type == REDIS_REPLY_ERROR ? unsafe String(decoding: bytes, as: UTF8.self) : nil }

  var streamID: StreamID? { isText ? unsafe StreamID(utf8: bytes) : nil }

  func reads(_ text: StaticString) -> Bool {
    let bytes = unsafe bytes
    guard isText, bytes.count == text.utf8CodeUnitCount, let start = bytes.baseAddress else { return false }
    return unsafe memcmp(start, text.utf8Start, bytes.count) == 0
  }

  /// Everything of it, to keep.
  var copy: RedisReply {
    switch type {
    case REDIS_REPLY_STRING: .string(text ?? "")
    case REDIS_REPLY_STATUS: .status(text ?? "")
    case REDIS_REPLY_ERROR: .error(errorText ?? "")
    case REDIS_REPLY_INTEGER: .integer(integer ?? 0)
    case REDIS_REPLY_ARRAY: .array((0..<count).map { node($0)?.copy ?? .null })
    default: .null
    }
  }
}
