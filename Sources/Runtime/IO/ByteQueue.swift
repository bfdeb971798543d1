import Glibc

/// Bytes that wait to be sent: appended at the end, taken from the front, without a copy for each taking.
struct ByteQueue {
  private var bytes: [UInt8] = []
  private var head = 0

  /// How sending went.
  enum Sending {
    /// Everything is sent.
    case done
    /// The kernel's buffer is full.
    case blocked
    case failed(SystemError)
  }

  var count: Int { bytes.count - head }
  var isEmpty: Bool { head == bytes.count }

  /// Lets `append` append to the bytes.
  mutating func append(_ append: (inout [UInt8]) -> Void) { append(&bytes) }

  mutating func removeAll() {
    bytes = []
    head = 0
  }

  /// Lends the first bytes, at most `limit`, and removes them.
  mutating func take(upTo limit: Int, _ body: (RawSpan) -> Void) {
    let range = head..<head + min(count, limit)
    unsafe bytes.withUnsafeBytes { all in
      unsafe body(UnsafeRawBufferPointer(rebasing: all[range]).bytes)
    }
    drop(range.count)
  }

  /// Sends what the socket takes now.
  mutating func send(to descriptor: CInt) -> Sending {
    while !isEmpty {
      let start = head
      let sent = unsafe bytes.withUnsafeBytes { all in
        unsafe Glibc.send(
          descriptor, all.baseAddress.map { unsafe $0 + start }, all.count - start,
          CInt(MSG_DONTWAIT | MSG_NOSIGNAL))
      }
      if sent > 0 {
        drop(sent)
        continue
      }
      switch errno {
      case EINTR: continue
      case EAGAIN, ENOBUFS: return .blocked
      default: return .failed(SystemError.last("write"))
      }
    }
    return .done
  }

  private mutating func drop(_ number: Int) {
    head += number
    if head == bytes.count {
      bytes.removeAll(keepingCapacity: bytes.capacity <= 256 << 10)
      head = 0
    } else if head > bytes.count / 2 {
      bytes.removeSubrange(0..<head)
      head = 0
    }
  }
}
