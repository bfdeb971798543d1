import ParleyRuntime

/// Counts attempts of each address and of all together within a window of time. The table has a bound: when it is full
/// of addresses that count, further ones share one count.
package struct AttemptLimiter: Sendable {
  private struct Count {
    var attempts = 0
    var began: WallTime = 0
  }

  private let perAddress: Int
  private let inAll: Int
  private let window: WallTime
  private let capacity: Int
  private var counts: [IPAddress?: Count] = [:]
  private var all = Count()

  package init(perAddress: Int, inAll: Int, minutes: WallTime, capacity: Int = 4096) {
    self.perAddress = perAddress
    self.inAll = inAll
    window = minutes * 60_000
    self.capacity = capacity
  }

  /// Notes an attempt. False, and nothing noted, where there were too many; those of all do not count against an
  /// address that `isTrusted`.
  package mutating func take(_ address: IPAddress?, now: WallTime, isTrusted: Bool = false) -> Bool {
    let key = self.key(address, now)
    var count = current(counts[key], now)
    all = current(all, now)
    guard count.attempts < perAddress, isTrusted || all.attempts < inAll else { return false }
    count.attempts += 1
    all.attempts += 1
    counts[key] = count
    return true
  }

  /// Takes the note of an attempt back: it was no bad one.
  package mutating func giveBack(_ address: IPAddress?, now: WallTime) {
    let key = self.key(address, now)
    if let count = counts[key], count.attempts > 0 { counts[key]?.attempts -= 1 }
    if all.attempts > 0 { all.attempts -= 1 }
  }

  private func current(_ count: Count?, _ now: WallTime) -> Count {
    guard let count, now - count.began < window, now >= count.began else { return Count(attempts: 0, began: now) }
    return count
  }

  /// Who has one IPv6 address has 2^64 of them. Claude's users come from one range of addresses, whichever of it.
  private mutating func key(_ address: IPAddress?, _ now: WallTime) -> IPAddress? {
    guard let address else { return nil }
    var key = address
    if Self.claude?.contains(address) == true {
      key = IPAddress("160.79.104.0") ?? address
    } else if !address.isFour {
      key = IPAddress(bytes: address.bytes[..<8] + [UInt8](repeating: 0, count: 8))
    }
    if counts[key] != nil || counts.count < capacity { return key }
    counts = counts.filter { now - $0.value.began < window }
    return counts.count < capacity ? key : nil
  }

  private static let claude = AddressRange("160.79.104.0/21")
}
