import CFloors
import Glibc

/// A child that speaks in lines: a server or a floor. Finds what it needs in a line by searching, never by parsing, so
/// that the bench measures the child and not itself.
@safe final class Peer {
  let process: ChildProcess
  private var bytes: UnsafeMutablePointer<UInt8>
  private var capacity = 1 << 18
  private var start = 0
  private var end = 0
  private var searched = 0
  private var nextID = 1

  /// A place of a line in the buffer, valid until the next `fill`.
  typealias Line = Range<Int>

  init(_ process: ChildProcess) {
    self.process = process
    unsafe bytes = .allocate(capacity: capacity)
  }

  deinit { unsafe bytes.deallocate() }

  /// Writes all of `request`, waiting where the pipe is full.
  func write(_ request: [UInt8]) throws(BenchError) {
    var done = 0
    while done < request.count {
      let count = unsafe request.withUnsafeBytes {
        unsafe Glibc.write(process.input, $0.baseAddress.unsafelyUnwrapped + done, request.count - done)
      }
      guard count > 0 else { throw .last("write to a child") }
      done += count
    }
  }

  /// Waits for output and takes what there is. Throws at the output's end and when the watchdog barks.
  func fill() throws(BenchError) {
    if start == end {
      start = 0
      end = 0
      searched = 0
    } else if capacity - end < 65536 {
      makeRoom()
    }
    let count = unsafe read(process.output, bytes + end, capacity - end)
    if count < 0 { throw BenchError(errno == EINTR ? "a child did not answer in time" : "read from a child failed") }
    if count == 0 { throw BenchError("a child ended its output") }
    end += count
  }

  /// The next whole line that has arrived.
  func nextLine() -> Line? {
    guard searched < end, let newline = unsafe memchr(bytes + searched, 10, end - searched) else {
      searched = end
      return nil
    }
    let place = unsafe UnsafeMutableRawPointer(bytes).distance(to: newline)
    defer {
      start = place + 1
      searched = start
    }
    return start..<place
  }

  /// Waits for the next line.
  func waitLine() throws(BenchError) -> Line {
    while true {
      if let line = nextLine() { return line }
      try fill()
    }
  }

  /// Where the first `text` in `line` ends.
  func end(of text: StaticString, in line: Line) -> Int? {
    let place = unsafe bench_find_end(bytes + line.lowerBound, line.count, text.utf8Start, text.utf8CodeUnitCount)
    return place < 0 ? nil : line.lowerBound + place
  }

  /// The digits after the first `name` in `line`.
  func number(after name: StaticString, in line: Line) -> Int? {
    guard var place = end(of: name, in: line) else { return nil }
    var value = 0
    let first = place
    while place < line.upperBound, case let digit = unsafe bytes[place] &- 48, digit < 10 {
      value = value &* 10 &+ Int(digit)
      place += 1
    }
    return place > first ? value : nil
  }

  /// Reserves ids for so many requests and returns the first.
  func takeIDs(_ count: Int) -> Int {
    defer { nextID += count }
    return nextID
  }

  /// The string value after the first `name`, up to a quote or, for our own padded contents, a space.
  func string(after name: StaticString, in line: Line) -> String? {
    end(of: name, in: line).map { text($0..<valueEnd(from: $0, in: line)) }
  }

  /// The string values after every `name`, in order.
  func strings(after name: StaticString, in line: Line) -> [String] {
    var values: [String] = []
    var rest = line
    while let place = end(of: name, in: rest) {
      let valueEnd = valueEnd(from: place, in: line)
      values.append(text(place..<valueEnd))
      rest = valueEnd..<line.upperBound
    }
    return values
  }

  private func valueEnd(from place: Int, in line: Line) -> Int {
    var end = place
    while end < line.upperBound, unsafe bytes[end] != 0x22, unsafe bytes[end] != 0x20 { end += 1 }
    return end
  }

  /// The id of an answer; nil for a notification.
  func answerID(_ line: Line) -> Int? { number(after: "\"id\":", in: line) }

  /// The bytes of a line, until the next `fill`.
  func raw(_ line: Line) -> UnsafeBufferPointer<UInt8> {
    unsafe UnsafeBufferPointer(start: bytes + line.lowerBound, count: line.count)
  }

  /// The text of a line.
  func text(_ line: Line) -> String {
    unsafe String(decoding: raw(line), as: UTF8.self)
  }

  private func makeRoom() {
    let count = end - start
    let room = count * 2 > capacity ? capacity * 2 : capacity
    let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: room)
    unsafe moved.update(from: bytes + start, count: count)
    unsafe bytes.deallocate()
    unsafe bytes = moved
    capacity = room
    searched -= start
    end = count
    start = 0
  }
}
