import ParleyRuntime
import ParleyTLS

/// The rooms of topics, named as the TypeScript Parley names them: `<topic>@<muc service>`, in lower case, what is not
/// `[a-z0-9._-]` as `_` (one for each UTF-16 unit), and where that changed the name, ten digits of the topic's SHA-1.
///
/// Prosody keeps a room in a file of its name, with every other byte than letters and digits as three; a name for which
/// no file system has room is cut, which the TypeScript Parley does not do.
struct TopicRooms: Hashable, Sendable {
  let service: String

  /// The bytes that a file's name may have (255), without the server's endings.
  private static let longest = 245

  func room(of topic: Topic) -> JID { JID(local: Self.local(topic.name), domain: service) }

  private static func local(_ name: String) -> String {
    var folded: [UInt8] = []
    for scalar in name.unicodeScalars {
      for lower in scalar.properties.lowercaseMapping.unicodeScalars {
        switch lower {
        case "a"..."z", "0"..."9", ".", "-", "_": folded.append(UInt8(truncatingIfNeeded: lower.value))
        default: for _ in 0..<UTF16.width(lower) { folded.append(UInt8(ascii: "_")) }
        }
      }
    }
    let text = String(decoding: folded, as: UTF8.self)
    let isLong = fileLength(folded) > longest
    guard isLong || !folded.elementsEqual(name.utf8) else { return text }
    let mark = Array("-\(Digest.sha1.hash(Array(name.utf8)).hexadecimal.prefix(10))".utf8)
    while fileLength(folded) + fileLength(mark) > longest { folded.removeLast() }
    return String(decoding: folded + mark, as: UTF8.self)
  }

  private static func fileLength(_ name: [UInt8]) -> Int {
    name.reduce(0) { $0 + ([UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_")].contains($1) ? 3 : 1) }
  }
}

extension [UInt8] {
  /// Two lower-case digits for each byte.
  var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
