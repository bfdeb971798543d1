import CNats
import Glibc

/// One received message, freed with its value.
@safe struct NATSMessage: ~Copyable {
  private let message: OpaquePointer

  /// What a subscription's queue has.
  enum Next: ~Copyable {
    case message(NATSMessage)
    /// A server's 503, whose message the library keeps to itself.
    case nobody
    case nothing
  }

  static func next(of subscription: OpaquePointer) -> Next {
    var message: OpaquePointer?
    switch unsafe natsSubscription_NextMsg(&message, subscription, 0) {
    case NATS_OK:
      guard let message = unsafe message else { return .nothing }
      return .message(unsafe NATSMessage(message))
    case NATS_NO_RESPONDERS: return .nobody
    default: return .nothing
    }
  }

  private init(_ message: OpaquePointer) { unsafe self.message = message }

  deinit { unsafe natsMsg_Destroy(message) }

  /// Gives the library's own message up, to be destroyed by whoever takes it.
  consuming func release() -> OpaquePointer {
    let message = unsafe message
    discard self
    return unsafe message
  }

  /// The subject it was published to.
  var subject: [UInt8] { unsafe Self.bytes(natsMsg_GetSubject(message)) }

  /// Lends the subject from its `start`-th byte on, which it has.
  func withSubject<Result>(from start: Int, _ body: (Span<UInt8>) -> Result) -> Result {
    guard let text = unsafe natsMsg_GetSubject(message) else { return body(Span()) }
    let bytes = unsafe UnsafeRawBufferPointer(start: text + start, count: strlen(text + start))
    return unsafe bytes.withMemoryRebound(to: UInt8.self) { unsafe body($0.span) }
  }

  /// The same as text; bytes that are not UTF-8 are repaired.
  var subjectText: String { unsafe String(cString: natsMsg_GetSubject(message)) }

  /// Whether the subject begins so.
  func hasSubject(_ prefix: [UInt8]) -> Bool { unsafe Self.begins(natsMsg_GetSubject(message), prefix) }

  /// Whether the subject for answers begins so.
  func hasReply(_ prefix: [UInt8]) -> Bool { unsafe Self.begins(natsMsg_GetReply(message), prefix) }

  /// Where an answer goes; for a consumer's delivery this names its place (`Delivered`).
  var reply: [UInt8] { unsafe Self.bytes(natsMsg_GetReply(message)) }

  /// The payload.
  var data: [UInt8] {
    let count = Int(unsafe natsMsg_GetDataLength(message))
    guard count > 0, let start = unsafe natsMsg_GetData(message) else { return [] }
    return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
      if let room = buffer.baseAddress { unsafe memcpy(room, start, count) }
      written = count
    }
  }

  /// The first value of a header.
  func header(_ name: StaticString) -> String? {
    var value: UnsafePointer<CChar>?
    guard unsafe natsMsgHeader_Get(message, name.cString, &value) == NATS_OK, let value = unsafe value else {
      return nil
    }
    return unsafe String(cString: value)
  }

  private static func bytes(_ text: UnsafePointer<CChar>?) -> [UInt8] {
    guard let text = unsafe text else { return [] }
    return unsafe Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
  }

  private static func begins(_ text: UnsafePointer<CChar>?, _ prefix: [UInt8]) -> Bool {
    guard let text = unsafe text else { return false }
    return unsafe prefix.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return true }
      return unsafe strncmp(text, start.assumingMemoryBound(to: CChar.self), bytes.count) == 0
    }
  }
}

extension StaticString {
  /// As C reads it: the compiler ends it with a NUL.
  @unsafe var cString: UnsafePointer<CChar> { unsafe UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}
