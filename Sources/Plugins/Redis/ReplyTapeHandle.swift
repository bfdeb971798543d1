import CHiredis
import Glibc

/// Where hiredis writes a reply while it parses it: a row of parts instead of a tree of allocations.
///
/// The functions below are what `redisReaderCreateWithFunctions` takes instead of its own; the objects that they make are
/// the parts' numbers, from 1 on.
@safe struct ReplyTape {
  /// A string, number, null or error, or the beginning of an array.
  struct Part {
    let type: CInt
    /// A string's first byte, or a number itself.
    let value: Int
    /// A string's bytes, or an array's elements.
    let count: Int
    /// The number of the part behind it, with all that it holds.
    var end: Int
  }

  fileprivate var parts: UnsafeMutablePointer<Part>
  private var partCapacity = 64
  private var partCount = 0
  fileprivate var bytes: UnsafeMutablePointer<CChar>
  private var byteCapacity = 4096
  private var byteCount = 0

  /// Room that is kept for the next replies.
  private static let kept = (parts: 65_536, bytes: 1 << 20)

  init() {
    unsafe parts = .allocate(capacity: partCapacity)
    unsafe bytes = .allocate(capacity: byteCapacity)
  }

  func deallocate() {
    unsafe parts.deallocate()
    unsafe bytes.deallocate()
  }

  /// Forgets the last reply.
  mutating func rewind() {
    if partCapacity > Self.kept.parts || byteCapacity > Self.kept.bytes {
      deallocate()
      self = ReplyTape()
    }
    (partCount, byteCount) = (0, 0)
  }

  fileprivate mutating func add(
    _ task: UnsafePointer<redisReadTask>, _ type: CInt, value: Int, count: Int
  ) -> UnsafeMutableRawPointer? {
    if partCount == partCapacity {
      let larger = UnsafeMutablePointer<Part>.allocate(capacity: 2 * partCapacity)
      unsafe larger.update(from: parts, count: partCount)
      unsafe parts.deallocate()
      unsafe parts = larger
      partCapacity *= 2
    }
    unsafe parts[partCount] = Part(type: type, value: value, count: count, end: partCount + 1)
    partCount += 1
    // What holds it ends behind it.
    var holder = unsafe task.pointee.parent
    while let task = unsafe holder {
      let number = unsafe Int(bitPattern: task.pointee.obj) - 1
      unsafe parts[number].end = partCount
      unsafe holder = task.pointee.parent
    }
    return unsafe UnsafeMutableRawPointer(bitPattern: partCount)
  }

  fileprivate mutating func add(
    _ task: UnsafePointer<redisReadTask>, _ text: UnsafeMutablePointer<CChar>?, _ count: Int
  ) -> UnsafeMutableRawPointer? {
    if byteCount + count > byteCapacity {
      let capacity = max(2 * byteCapacity, byteCount + count)
      let larger = UnsafeMutablePointer<CChar>.allocate(capacity: capacity)
      unsafe larger.update(from: bytes, count: byteCount)
      unsafe bytes.deallocate()
      unsafe bytes = larger
      byteCapacity = capacity
    }
    let start = byteCount
    if count > 0, let text = unsafe text { unsafe (bytes + start).update(from: text, count: count) }
    byteCount += count
    return unsafe add(task, task.pointee.type, value: start, count: count)
  }

  /// hiredis' hooks; it keeps the address, so they are never freed.
  // nonisolated(unsafe): written once, here, and only read by hiredis.
  nonisolated(unsafe) static let functions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
    let functions = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
    unsafe functions.initialize(
      to: redisReplyObjectFunctions(
        createString: stringRead, createArray: arrayRead, createInteger: integerRead, createNil: nilRead,
        freeObject: objectDropped))
    return unsafe functions
  }()
}

/// A reply, or a part of it, where the parser wrote it, so that what nobody wants of it is never copied.
//
// @safe: lent for the length of one call (`RedisHandle.next`), never kept.
@safe struct ReplyView: ReplyNode {
  private let parts: UnsafeMutablePointer<ReplyTape.Part>
  private let texts: UnsafeMutablePointer<CChar>
  private let number: Int

  init(_ tape: UnsafeMutablePointer<ReplyTape>) {
    unsafe self.init(tape.pointee.parts, tape.pointee.bytes, 0)
  }

  private init(_ parts: UnsafeMutablePointer<ReplyTape.Part>, _ bytes: UnsafeMutablePointer<CChar>, _ number: Int) {
    unsafe self.parts = parts
    unsafe texts = bytes
    self.number = number
  }

  private var part: ReplyTape.Part { unsafe parts[number] }

  private var bytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: texts + part.value, count: part.count)
  }

  private var isText: Bool { part.type == REDIS_REPLY_STRING || part.type == REDIS_REPLY_STATUS }

  /// How many elements an array has; none for anything else.
  var count: Int { part.type == REDIS_REPLY_ARRAY ? part.count : 0 }

  func node(_ index: Int) -> ReplyView? {
    guard index < count else { return nil }
    var number = number + 1
    for _ in 0..<index { number = unsafe parts[number].end }
    return unsafe ReplyView(parts, texts, number)
  }

  func forEach(_ body: (ReplyView) -> Void) {
    var number = number + 1
    for _ in 0..<count {
      body(unsafe ReplyView(parts, texts, number))
      number = unsafe parts[number].end
    }
  }

  /// The text of a string or status; bytes that are not UTF-8 are repaired.
  var text: String? { isText ? unsafe String(decoding: bytes, as: UTF8.self) : nil }

  /// The number of an integer.
  var integer: Int? { part.type == REDIS_REPLY_INTEGER ? part.value : nil }

  /// The text of an error of the server.
  var errorText: String? { part.type == REDIS_REPLY_ERROR ? unsafe String(decoding: bytes, as: UTF8.self) : nil }

  var streamID: StreamID? { isText ? unsafe StreamID(utf8: bytes) : nil }

  func reads(_ text: StaticString) -> Bool {
    let bytes = unsafe bytes
    guard isText, bytes.count == text.utf8CodeUnitCount, let start = bytes.baseAddress else { return false }
    return unsafe memcmp(start, text.utf8Start, bytes.count) == 0
  }

  /// Everything of it, to keep.
  var copy: RedisReply {
    switch part.type {
    case REDIS_REPLY_STRING: return .string(text ?? "")
    case REDIS_REPLY_STATUS: return .status(text ?? "")
    case REDIS_REPLY_ERROR: return .error(errorText ?? "")
    case REDIS_REPLY_INTEGER: return .integer(integer ?? 0)
    case REDIS_REPLY_ARRAY:
      var elements: [RedisReply] = []
      elements.reserveCapacity(count)
      forEach { elements.append($0.copy) }
      return .array(elements)
    default: return .null
    }
  }
}

// MARK: hiredis' hooks

private func tape(_ task: UnsafePointer<redisReadTask>) -> UnsafeMutablePointer<ReplyTape>? {
  unsafe task.pointee.privdata?.assumingMemoryBound(to: ReplyTape.self)
}

private func stringRead(
  _ task: UnsafePointer<redisReadTask>?, _ text: UnsafeMutablePointer<CChar>?, _ count: Int
) -> UnsafeMutableRawPointer? {
  guard let task = unsafe task, let tape = unsafe tape(task) else { return nil }
  return unsafe tape.pointee.add(task, text, count)
}

private func arrayRead(_ task: UnsafePointer<redisReadTask>?, _ count: CInt) -> UnsafeMutableRawPointer? {
  guard let task = unsafe task, let tape = unsafe tape(task) else { return nil }
  return unsafe tape.pointee.add(task, REDIS_REPLY_ARRAY, value: 0, count: Int(count))
}

private func integerRead(_ task: UnsafePointer<redisReadTask>?, _ value: Int64) -> UnsafeMutableRawPointer? {
  guard let task = unsafe task, let tape = unsafe tape(task) else { return nil }
  return unsafe tape.pointee.add(task, REDIS_REPLY_INTEGER, value: Int(value), count: 0)
}

private func nilRead(_ task: UnsafePointer<redisReadTask>?) -> UnsafeMutableRawPointer? {
  guard let task = unsafe task, let tape = unsafe tape(task) else { return nil }
  // Its own type is that of what is absent.
  return unsafe tape.pointee.add(task, REDIS_REPLY_NIL, value: 0, count: 0)
}

private func objectDropped(_ object: UnsafeMutableRawPointer?) {}
