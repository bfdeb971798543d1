extension String {
  /// The longest beginning of at most so many bytes that ends between two scalars.
  package func prefix(bytes: Int) -> String {
    guard utf8.count > bytes else { return self }
    var end = utf8.index(utf8.startIndex, offsetBy: max(0, bytes))
    while String.Index(end, within: unicodeScalars) == nil { end = utf8.index(before: end) }
    return String(self[..<end])
  }

  /// What follows the first `mark`, which is ASCII, told byte by byte; nil where there is none.
  package func rest(after mark: StaticString) -> String? {
    let bytes = utf8Span.span
    let length = mark.utf8CodeUnitCount
    guard length <= bytes.count else { return nil }
    for start in 0...(bytes.count - length)
    where (0..<length).allSatisfy({ unsafe bytes[start + $0] == mark.utf8Start[$0] }) {
      return String(self[utf8.index(utf8.startIndex, offsetBy: start + length)...])
    }
    return nil
  }
}
