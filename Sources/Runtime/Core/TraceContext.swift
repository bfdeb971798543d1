/// Where a request stands in a distributed trace (W3C Trace Context): what came with a post is kept with the message,
/// and goes out with it. It is its sender's word, never Parley's.
package struct TraceContext: Hashable, Sendable {
  /// The attributes, header lines and `_meta` members that carry it.
  package static let parentName = "traceparent"
  package static let stateName = "tracestate"
  /// Section 3.3.1.5: at least so much must be passed on; what is longer is left out.
  private static let stateLimit = 512

  /// The trace of the request that is being worked on: what is stored meanwhile belongs to it.
  @TaskLocal package static var current: TraceContext?

  /// `00-<trace id>-<parent id>-<flags>`, in lower-case hexadecimal digits.
  package let parent: String
  /// What vendors add; nil where there is nothing, or nothing that can be passed on.
  package let state: String?

  /// Nil where `parent` is not well formed; a malformed `state` is left out.
  package init?(parent: String?, state: String? = nil) {
    guard let parent, Self.isWellFormed(Array(parent.utf8)) else { return nil }
    self.parent = parent
    self.state = state.flatMap { Self.isState($0) ? $0 : nil }
  }

  /// Does `work`, and whatever tasks it starts, as part of a trace; without one as part of none.
  package static func during(_ trace: TraceContext?, _ work: () -> Void) {
    guard let trace else { return work() }
    $current.withValue(trace, operation: work)
  }

  /// What a message carries.
  package init?(_ attributes: Attributes) {
    self.init(parent: attributes[Self.parentName], state: attributes[Self.stateName])
  }

  /// As attributes of a message; what its sender set by itself stays.
  package func adding(to attributes: Attributes) -> Attributes {
    guard attributes[Self.parentName] == nil, attributes[Self.stateName] == nil else { return attributes }
    var all = attributes
    all[Self.parentName] = parent
    all[Self.stateName] = state
    return all
  }

  /// Section 3.2.2: version, trace id, parent id and flags, of which neither id is all zeros; later versions may have
  /// more behind a further dash.
  private static func isWellFormed(_ bytes: [UInt8]) -> Bool {
    let dash = UInt8(ascii: "-")
    guard bytes.count >= 55, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash else { return false }
    let parts = [bytes[0..<2], bytes[3..<35], bytes[36..<52], bytes[53..<55]]
    let isHexadecimal = { (byte: UInt8) in
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
    guard parts.allSatisfy({ $0.allSatisfy(isHexadecimal) }), !parts[0].elementsEqual("ff".utf8),
      [parts[1], parts[2]].allSatisfy({ !$0.allSatisfy { $0 == UInt8(ascii: "0") } })
    else { return false }
    let isFirst = parts[0].elementsEqual("00".utf8)
    return bytes.count == 55
      || (!isFirst && bytes[55] == dash && bytes.count <= 256 && bytes[55...].allSatisfy { (0x21...0x7e).contains($0) })
  }

  private static func isState(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= stateLimit && text.utf8.allSatisfy { (0x20...0x7e).contains($0) }
      && text.contains("=")
  }
}
