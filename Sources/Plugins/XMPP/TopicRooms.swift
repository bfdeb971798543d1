import ParleyRuntime
import ParleyTLS

/// The rooms of topics, named as the TypeScript Parley names them: `<topic>@<muc service>`, in lower case, what is not
/// `[a-z0-9._-]` as `_` (one for each UTF-16 unit), and where that changed the name, ten digits of the topic's SHA-1.
struct TopicRooms: Hashable, Sendable {
  let service: String

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
    guard !folded.elementsEqual(name.utf8) else { return text }
    return text + "-" + Digest.sha1.hash(Array(name.utf8)).hexadecimal.prefix(10)
  }
}

extension [UInt8] {
  /// Two lower-case digits for each byte.
  var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
