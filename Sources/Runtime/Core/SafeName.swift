/// A topic's name as backends with narrower names carry it, the same as the TypeScript Parley makes it.
public enum SafeName {
  /// Replaces every UTF-16 code unit that is not `allowed` by `_`; where that, or the length, changed anything, appends
  /// `-` and ten hexadecimal digits of the SHA-1 of the name, so that two topics never meet.
  ///
  /// At most `limit` bytes come of it: a longer name is cut before the digits (the TypeScript Parley has no limit).
  public static func fold(_ name: String, limit: Int = .max, allowed: (UInt16) -> Bool) -> String {
    let units = name.utf16.map { allowed($0) ? $0 : UInt16(UInt8(ascii: "_")) }
    let folded = String(decoding: units, as: UTF16.self)
    guard !folded.utf8.elementsEqual(name.utf8) || folded.utf8.count > limit else { return folded }
    var kept = folded
    while kept.utf8.count > limit - 11 { kept.removeLast() }
    return kept + "-" + SHA1.hexadecimal(name, digits: 10)
  }
}
