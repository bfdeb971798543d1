import ParleyRuntime

/// Turns the bytes of a connection into requests, one after the other, without any input or output of its own.
///
/// After a refusal nothing more can be read: where the next request begins is not known.
package struct RequestParser: Sendable {
  private enum State {
    case head
    case fixed(left: Int)
    case chunked(ChunkDecoder)
  }

  private let limits: ServerLimits
  private var state = State.head
  private var bytes: [UInt8] = []
  /// Where what was not consumed begins.
  private var start = 0
  /// Up to here the head was searched for its end.
  private var searched = 0

  package init(limits: ServerLimits) { self.limits = limits }

  /// Bytes that were taken and not consumed.
  package var buffered: Int { bytes.count - start }

  /// Adds bytes of the connection.
  package mutating func take(_ span: RawSpan) {
    if start == bytes.count { reset() }
    bytes.append(contentsOf: [UInt8](copying: span))
  }

  /// Adds bytes of the connection.
  package mutating func take(_ new: some Collection<UInt8>) {
    if start == bytes.count { reset() }
    bytes.append(contentsOf: new)
  }

  private mutating func reset() {
    bytes.removeAll(keepingCapacity: bytes.capacity <= 16 << 10)
    start = 0
    searched = 0
  }

  // MARK: Heads

  /// The next request's head; nil where it is not complete. Its body is to be read, or skipped, before the next head.
  package mutating func nextHead() throws(HTTPRefusal) -> RequestHead? {
    guard case .head = state else { return nil }
    skipEmptyLines()
    guard let end = try headEnd() else { return nil }
    let head = try HeadParser.parse(Array(bytes[start..<end]), limits: limits)
    consume(to: end)
    switch head.framing {
    case .none: state = .fixed(left: 0)
    case .length(let length): state = .fixed(left: length)
    case .chunked: state = .chunked(ChunkDecoder())
    }
    return head
  }

  /// RFC 9112 section 2.2: empty lines before a request are ignored.
  private mutating func skipEmptyLines() {
    while buffered >= 2, bytes[start] == HTTPBytes.cr, bytes[start + 1] == HTTPBytes.lf { consume(to: start + 2) }
  }

  /// Behind the empty line that ends the head; nil where it has not come.
  private mutating func headEnd() throws(HTTPRefusal) -> Int? {
    var position = max(searched, start)
    while position < bytes.count {
      if bytes[position] == HTTPBytes.lf {
        guard position > start, bytes[position - 1] == HTTPBytes.cr else {
          throw .malformed("a line feed without a carriage return")
        }
        if position - start >= 3, bytes[position - 2] == HTTPBytes.lf {
          try checkSize(to: position)
          return position + 1
        }
      }
      position += 1
    }
    searched = position
    try checkSize(to: position)
    return nil
  }

  private func checkSize(to end: Int) throws(HTTPRefusal) {
    guard end - start > limits.requestLineBytes else { return }
    let lineEnd = bytes[start..<end].firstIndex(of: HTTPBytes.cr) ?? end
    guard lineEnd - start <= limits.requestLineBytes else {
      throw HTTPRefusal(414, "targetTooLong", "the request line has more than \(limits.requestLineBytes) bytes")
    }
    guard end - lineEnd <= limits.headerBytes else {
      throw HTTPRefusal(431, "headerTooLarge", "the header section has more than \(limits.headerBytes) bytes")
    }
  }

  // MARK: Bodies

  /// The whole body of the request whose head was read; nil where it is not complete. Throws 413 past `limit`.
  package mutating func nextBody(limit: Int) throws(HTTPRefusal) -> [UInt8]? {
    switch state {
    case .head: return nil
    case .fixed(let length):
      guard length <= limit else { throw HTTPRefusal(413, "tooLarge", "the body has more than \(limit) bytes") }
      guard buffered >= length else {
        bytes.reserveCapacity(start + min(length, 1 << 20))
        return nil
      }
      let body = Array(bytes[start..<start + length])
      consume(to: start + length)
      state = .head
      return body
    case .chunked(var decoder):
      // Set aside, so that the body is not copied with each piece.
      state = .head
      let end = try decoder.decode(bytes, from: start, limit: limit, keeps: true, limits: limits)
      consume(to: end)
      guard decoder.isDone else {
        state = .chunked(decoder)
        return nil
      }
      return decoder.body
    }
  }

  /// Passes over the body of the request whose head was read, at most `limit` bytes of it; false where it is not
  /// complete.
  package mutating func skipBody(limit: Int) throws(HTTPRefusal) -> Bool {
    switch state {
    case .head: return true
    case .fixed(let left):
      guard left <= limit else { throw HTTPRefusal(413, "tooLarge", "the body has more than \(limit) bytes") }
      let skipped = min(left, buffered)
      consume(to: start + skipped)
      state = skipped == left ? .head : .fixed(left: left - skipped)
      return skipped == left
    case .chunked(var decoder):
      state = .head
      let end = try decoder.decode(bytes, from: start, limit: limit, keeps: false, limits: limits)
      consume(to: end)
      if !decoder.isDone { state = .chunked(decoder) }
      return decoder.isDone
    }
  }

  private mutating func consume(to end: Int) {
    start = end
    searched = end
    if start == bytes.count {
      reset()
    } else if start > 64 << 10 {
      bytes.removeSubrange(0..<start)
      start = 0
      searched = 0
    }
  }
}
