import CLinux
import Glibc
import Synchronization

/// Turns host names into addresses without blocking the loop: `getaddrinfo` on a thread of its own for each look-up.
enum Resolver {
  /// A look-up that was given up still occupies its thread until the C library answers; more than these are refused.
  private static let lookupLimit = 16
  private static let lookups = Atomic<Int>(0)

  private enum Answer: Sendable {
    case addresses([SocketAddress])
    case failed(code: CInt, text: String)
  }

  /// All addresses in the order of RFC 6724. Numeric ones are answered at once, without a thread.
  static func addresses(
    of host: String, port: Int, loop: EventLoop, until deadline: LoopInstant,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> [SocketAddress] {
    let operation = "look up \(host)"
    if case .addresses(let found) = look(host, port, flags: AI_NUMERICHOST | AI_NUMERICSERV) { return found }
    guard lookups.load(ordering: .relaxed) < lookupLimit else {
      throw SeamError(.unavailable, operation: operation, cause: "\(lookupLimit) look-ups are still unanswered")
    }
    lookups.add(1, ordering: .relaxed)
    let outcome: WaitOutcome<Answer>
    do throws(SystemError) {
      outcome = try await loop.offload(named: "resolver", until: deadline) {
        defer { lookups.subtract(1, ordering: .relaxed) }
        return look(host, port, flags: AI_NUMERICSERV)
      }
    } catch {
      lookups.subtract(1, ordering: .relaxed)
      throw SeamError(.unavailable, native: Int(error.code), operation: operation, cause: error.description)
    }
    switch outcome {
    case .value(.addresses(let found)): return found
    case .value(.failed(let code, let text)):
      throw SeamError(.unavailable, native: Int(code), operation: operation, cause: text)
    case .timedOut:
      throw SeamError(.unavailable, operation: operation, cause: "the name servers did not answer in time")
    case .cancelled: throw SeamError(.cancelled, operation: operation, cause: "the caller cancelled")
    }
  }

  /// The address of a numeric host; nil where it is none. Does not block.
  static func numericAddress(_ host: String, port: Int) -> SocketAddress? {
    guard case .addresses(let found) = look(host, port, flags: AI_NUMERICHOST | AI_NUMERICSERV) else { return nil }
    return found.first
  }

  private static func look(_ host: String, _ port: Int, flags: CInt) -> Answer {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = AF_UNSPEC
    unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = flags
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, String(port), &hints, &list)
    guard code == 0 else {
      let text = unsafe gai_strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
      return .failed(code: code, text: text)
    }
    defer { unsafe freeaddrinfo(list) }
    var found: [SocketAddress] = []
    var next = unsafe list
    while let entry = unsafe next {
      let info = unsafe entry.pointee
      if let address = unsafe info.ai_addr {
        let bytes = unsafe Array(UnsafeRawBufferPointer(start: address, count: Int(info.ai_addrlen)))
        found.append(SocketAddress(family: unsafe info.ai_family, bytes: bytes))
      }
      unsafe next = info.ai_next
    }
    return .addresses(found)
  }
}
