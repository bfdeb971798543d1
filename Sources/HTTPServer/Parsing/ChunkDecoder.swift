/// Reads a chunked body (RFC 9112 section 7.1) bit by bit; trailers are checked and dropped.
struct ChunkDecoder {
  private enum State {
    case size
    case data(left: Int)
    case dataEnd
    case trailer
    case done
  }

  private static let sizeLineLimit = 256
  private var state = State.size
  private var trailerBytes = 0
  private(set) var body: [UInt8] = []
  /// Bytes of data so far, also of those that are not kept.
  private(set) var count = 0

  var isDone: Bool { if case .done = state { true } else { false } }

  /// Consumes what it can of `bytes` from `start`; returns where it stopped. Throws 413 past `limit`.
  mutating func decode(
    _ bytes: [UInt8], from start: Int, limit: Int, keeps: Bool, limits: ServerLimits
  ) throws(HTTPRefusal) -> Int {
    var position = start
    while position < bytes.count {
      switch state {
      case .size:
        guard let line = try Self.line(bytes, from: position, limit: Self.sizeLineLimit) else { return position }
        let size = try Self.size(bytes[line])
        position = line.upperBound + 2
        count += size
        guard count <= limit else { throw HTTPRefusal(413, "tooLarge", "the body has more than \(limit) bytes") }
        state = size == 0 ? .trailer : .data(left: size)
      case .data(let left):
        let taken = min(left, bytes.count - position)
        if keeps { body += bytes[position..<position + taken] }
        position += taken
        state = taken == left ? .dataEnd : .data(left: left - taken)
      case .dataEnd:
        guard bytes.count - position >= 2 else {
          guard bytes[position] == HTTPBytes.cr else { throw .malformed("a chunk is longer than it says") }
          return position
        }
        guard bytes[position] == HTTPBytes.cr, bytes[position + 1] == HTTPBytes.lf else {
          throw .malformed("a chunk is longer than it says")
        }
        position += 2
        state = .size
      case .trailer:
        let left = limits.headerBytes - trailerBytes
        guard let line = try Self.line(bytes, from: position, limit: left) else { return position }
        position = line.upperBound + 2
        trailerBytes += line.count + 2
        if line.isEmpty {
          state = .done
          return position
        }
        _ = try HeadParser.field(bytes, line)
      case .done: return position
      }
    }
    return position
  }

  /// The line that begins at `start`, without its end; nil where it is not complete.
  private static func line(_ bytes: [UInt8], from start: Int, limit: Int) throws(HTTPRefusal) -> Range<Int>? {
    var position = start
    while position < bytes.count, bytes[position] != HTTPBytes.cr {
      guard bytes[position] != HTTPBytes.lf else { throw .malformed("a line feed without a carriage return") }
      position += 1
    }
    guard position - start <= limit else { throw HTTPRefusal(431, "headerTooLarge", "a chunk's line is too long") }
    guard position + 1 < bytes.count else { return nil }
    guard bytes[position + 1] == HTTPBytes.lf else { throw .malformed("a carriage return without a line feed") }
    return start..<position
  }

  private static func size(_ line: ArraySlice<UInt8>) throws(HTTPRefusal) -> Int {
    var size = 0
    var digits = 0
    var rest = line
    while let value = rest.first.flatMap(HTTPBytes.hexValue) {
      digits += 1
      // 2^48 is more than any limit.
      guard digits <= 12 else { throw .malformed("a chunk's size has too many digits") }
      size = size << 4 | value
      rest.removeFirst()
    }
    let isExtended = rest.first == UInt8(ascii: ";") && rest.allSatisfy(HTTPBytes.isFieldValue)
    guard digits > 0, rest.isEmpty || isExtended else { throw .malformed("a chunk's size is not a number") }
    return size
  }
}
