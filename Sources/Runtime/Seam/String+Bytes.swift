import Glibc

extension String {
  /// Equal byte by byte. Texts that are only canonically equivalent hash alike, which keeps the hash sound.
  package func isExactly(_ other: String) -> Bool {
    guard utf8.count == other.utf8.count else { return false }
    let isEqual = unsafe utf8.withContiguousStorageIfAvailable { bytes in
      unsafe other.utf8.withContiguousStorageIfAvailable { others in
        guard let left = bytes.baseAddress, let right = others.baseAddress else { return true }
        return unsafe memcmp(left, right, bytes.count) == 0
      }
    }
    return (isEqual ?? nil) ?? utf8.elementsEqual(other.utf8)
  }

  /// Orders by bytes, so that order agrees with exact equality.
  func precedes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }

  /// Whether one of its UTF-8 bytes is this one; by the C library, a fraction of a nanosecond for each.
  package func hasByte(_ byte: UInt8) -> Bool {
    let found = unsafe utf8.withContiguousStorageIfAvailable { bytes in
      guard let start = bytes.baseAddress else { return false }
      return unsafe memchr(start, CInt(byte), bytes.count) != nil
    }
    return found ?? utf8.contains(byte)
  }

  /// Feeds its UTF-8 bytes and their number: texts hash alike only where they are exactly equal, and no two rows of texts
  /// run into each other.
  package func hashBytes(into hasher: inout Hasher) {
    let isDone = unsafe utf8.withContiguousStorageIfAvailable { bytes in
      unsafe hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
      return true
    }
    if isDone == nil { for byte in utf8 { hasher.combine(byte) } }
    hasher.combine(utf8.count)
  }

  /// The parts one after the other, in one piece of memory.
  init(joining parts: borrowing InlineArray<5, String>) {
    var count = 0
    for index in parts.indices { count += parts[index].utf8.count }
    self = unsafe String(unsafeUninitializedCapacity: count) { buffer in
      var place = 0
      for index in parts.indices { place += unsafe parts[index].copyBytes(to: buffer, at: place) }
      return place
    }
  }

  /// A prefix and the number in decimal digits, in one piece of memory and a fifth of the time that `String.init` and a
  /// concatenation take for it.
  package init(_ prefix: String = "", decimal value: Int64) {
    var count = prefix.utf8.count + (value < 0 ? 2 : 1)
    var left = value.magnitude
    while left >= 10 {
      left /= 10
      count += 1
    }
    self = unsafe String(unsafeUninitializedCapacity: count) { buffer in
      let start = unsafe prefix.copyBytes(to: buffer, at: 0)
      if value < 0 { unsafe buffer[start] = UInt8(ascii: "-") }
      var place = count
      var rest = value.magnitude
      repeat {
        place -= 1
        unsafe buffer[place] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
      } while rest > 0
      return count
    }
  }

  /// Copies its UTF-8 bytes to a place from which there is room for them, and returns how many they are.
  private func copyBytes(to buffer: UnsafeMutableBufferPointer<UInt8>, at place: Int) -> Int {
    let bytes = utf8Span.span
    unsafe bytes.withUnsafeBufferPointer { source in
      guard let from = source.baseAddress, let to = buffer.baseAddress else { return }
      unsafe (to + place).update(from: from, count: source.count)
    }
    return bytes.count
  }
}
