import ParleyRuntime
import ParleyTLS

/// How the owner's passphrase is asked for.
package struct OwnerOptions: Sendable {
  /// Wrong passphrases in a quarter of an hour: of one address, and of all.
  package var attempts = (perAddress: 10, inAll: 60)
  /// Whether the passphrase is the owner's; blocks.
  package var verify: @Sendable (_ passphrase: String, _ record: String) -> Bool = {
    PassphraseHash.verify($0, against: $1)
  }
  /// Decides instead of the store's record, where a program knows its owner by itself; blocks.
  package var isOwner: (@Sendable (_ passphrase: String) -> Bool)?

  package init() {}
}

/// Whether somebody knows the owner's passphrase. The consent page and the console ask the same one, so that guesses at
/// either count for both. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class OwnerCheck: @unchecked Sendable {
  /// What came of one passphrase.
  enum Outcome {
    case owner
    case wrong
    /// Of this address, or of all: nothing was checked.
    case tooMany
    /// Others are being checked, or the check could not be made.
    case busy
  }

  private let loop: EventLoop
  private let store: any AuthStore
  private let options: OwnerOptions
  private let metrics: DoorMetrics
  private var limiter: AttemptLimiter
  /// Where the owner answered from, the last first: guesses from everywhere else do not shut it out there.
  private var addresses: [IPAddress] = []
  /// Passphrases that are being checked: each takes 64 MiB and a thread.
  private var verifying = 0

  init(loop: EventLoop, store: any AuthStore, options: OwnerOptions, metrics: DoorMetrics) {
    self.loop = loop
    self.store = store
    self.options = options
    self.metrics = metrics
    limiter = AttemptLimiter(perAddress: options.attempts.perAddress, inAll: options.attempts.inAll, minutes: 15)
  }

  /// Checks one passphrase; `fields` say in the log what it was given for.
  func check(_ passphrase: String, from address: IPAddress?, _ fields: [(String, String)] = []) async -> Outcome {
    let isTrusted = address.map(addresses.contains) ?? false
    guard limiter.take(address, now: loop.wallClockMilliseconds, isTrusted: isTrusted) else {
      metrics.refused(.limit)
      Audit.note("too many wrong passphrases", address, fields, level: .warning)
      return .tooMany
    }
    switch await isRight(passphrase) {
    case nil: return .busy
    case false?:
      metrics.refused(.passphrase)
      Audit.note("wrong passphrase", address, fields, level: .warning)
      return .wrong
    case true?:
      limiter.giveBack(address, now: loop.wallClockMilliseconds)
      if let address { addresses = [address] + addresses.filter { $0 != address }.prefix(15) }
      return .owner
    }
  }

  /// Nil where it cannot be said now.
  private func isRight(_ passphrase: String) async -> Bool? {
    guard verifying < 2 else { return nil }
    let check: @Sendable () -> Bool
    if let isOwner = options.isOwner {
      check = { isOwner(passphrase) }
    } else {
      guard let record = store.state().owner else { return false }
      let verify = options.verify
      check = { verify(passphrase, record) }
    }
    verifying += 1
    defer { verifying -= 1 }
    guard case .value(let isRight)? = try? await loop.offload(named: "passphrase", until: nil, check) else {
      return nil
    }
    return isRight
  }
}

extension OwnerCheck.Outcome {
  /// What whoever is not let in is told; nil for the owner.
  var refusal: (status: Int, text: String, fields: [(name: String, value: String)])? {
    switch self {
    case .owner: nil
    case .wrong: (403, "That is not your passphrase.", [])
    case .tooMany:
      (429, "Too many wrong passphrases. Try again in a quarter of an hour.", [("Retry-After", "900")])
    case .busy: (503, "Others are being checked right now. Try again.", [("Retry-After", "2")])
    }
  }
}
