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
}
