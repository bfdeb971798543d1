import ParleyHTTPServer
import ParleyRuntime
import ParleyTLS

/// Whether a webhook comes from somebody who knows its secret.
enum HookSignature {
  /// How far the sender's clock may be from ours; milliseconds.
  static let tolerance: WallTime = 300_000

  /// Why a request does not count; nil where it does.
  static func problem(_ head: RequestHead, _ body: [UInt8], _ hook: Hook, now: WallTime) -> String? {
    switch hook.kind {
    case .github: githubProblem(head, body, hook)
    case .standard: standardProblem(head, body, hook, now: now)
    }
  }

  /// Whether the lines are there at all, judged before the body is read.
  static func isClaimed(_ head: RequestHead, _ hook: Hook) -> Bool {
    switch hook.kind {
    case .github: one("x-hub-signature-256", head) != nil
    case .standard: ["webhook-id", "webhook-timestamp", "webhook-signature"].allSatisfy { one($0, head) != nil }
    }
  }

  private static func one(_ name: String, _ head: RequestHead) -> String? {
    let values = head.fields.all(name)
    return values.count == 1 ? values[0] : nil
  }

  private static func githubProblem(_ head: RequestHead, _ body: [UInt8], _ hook: Hook) -> String? {
    guard let line = one("x-hub-signature-256", head), line.hasPrefix("sha256="),
      let given = bytes(ofHexadecimal: line.dropFirst(7)),
      given.isIdentical(to: Digest.sha256.authenticate(body, key: Array(hook.secret.utf8)))
    else { return "the signature is wrong" }
    return nil
  }

  /// The line may hold several signatures, from before and after a change of the secret; one that counts is enough.
  private static func standardProblem(_ head: RequestHead, _ body: [UInt8], _ hook: Hook, now: WallTime) -> String? {
    guard let id = one("webhook-id", head), let time = one("webhook-timestamp", head),
      let signatures = one("webhook-signature", head), let seconds = WallTime(time), (0...(1 << 40)).contains(seconds)
    else { return "the signature is wrong" }
    let code = Digest.sha256.authenticate(Array("\(id).\(time).".utf8) + body, key: key(hook.secret))
    let given = signatures.split(separator: " ").prefix(8).compactMap { signature in
      signature.hasPrefix("v1,") ? Base64.decode(String(signature.dropFirst(3))) : nil
    }
    guard given.contains(where: { $0.isIdentical(to: code) }) else { return "the signature is wrong" }
    return abs(now - seconds * 1_000) <= tolerance ? nil : "the time is more than five minutes away"
  }

  /// `whsec_` and base 64, as the standard writes secrets; any other text as it is.
  private static func key(_ secret: String) -> [UInt8] {
    guard secret.hasPrefix("whsec_"), let bytes = Base64.decode(String(secret.dropFirst(6))) else {
      return Array(secret.utf8)
    }
    return bytes
  }

  private static func bytes(ofHexadecimal text: some StringProtocol) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else { return nil }
      bytes.append(byte)
    }
    return bytes
  }
}
