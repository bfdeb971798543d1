import CHiredis
import Glibc

/// hiredis' reply parser; with `ReplyTape`, the one place that touches the library's memory.
@safe struct RedisHandle: ~Copyable {
  private let reader: UnsafeMutablePointer<redisReader>
  private let tape: UnsafeMutablePointer<ReplyTape>

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
    guard let reader = unsafe redisReaderCreateWithFunctions(ReplyTape.functions) else { return nil }
    unsafe self.reader = reader
    unsafe tape = .allocate(capacity: 1)
    unsafe tape.initialize(to: ReplyTape())
    unsafe reader.pointee.privdata = UnsafeMutableRawPointer(tape)
  }

  deinit {
    unsafe redisReaderFree(reader)
    unsafe tape.pointee.deallocate()
    unsafe tape.deallocate()
  }

  /// Takes bytes of the server.
  func feed(_ bytes: RawSpan) throws(ProtocolFailure) {
    let result = unsafe bytes.withUnsafeBytes { raw in
      unsafe redisReaderFeed(reader, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
    }
    if result != REDIS_OK { throw failure }
  }

  /// Lends the next whole reply; false when more bytes are needed.
  func next(_ body: (ReplyView) -> Void) throws(ProtocolFailure) -> Bool {
    var object: UnsafeMutableRawPointer?
    guard unsafe redisReaderGetReply(reader, &object) == REDIS_OK else { throw failure }
    guard unsafe object != nil else { return false }
    body(unsafe ReplyView(tape))
    unsafe tape.pointee.rewind()
    return true
  }

  private var failure: ProtocolFailure {
    let text = unsafe withUnsafePointer(to: &reader.pointee.errstr.0) { unsafe String(cString: $0) }
    return ProtocolFailure(text: text)
  }
}
