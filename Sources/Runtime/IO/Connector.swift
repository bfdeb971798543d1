import CLinux
import Glibc

/// Connects to the first of several addresses that answers (after RFC 8305, without its family shuffling).
///
/// The next address is tried when one fails, or when it has not answered for 250 ms; attempts under way go on beside
/// it. Confined to its loop.
//
// @unchecked: confined to the loop's thread.
final class Connector: @unchecked Sendable {
  private let loop: EventLoop
  private let endpoint: Endpoint
  private var addresses: ArraySlice<SocketAddress>
  private var attempts: [CInt: Watch] = [:]
  private var timer: LoopTimer?
  private let done: Waiters<Void>
  private let ticket: UInt64
  private var connected: CInt?
  private var failure: SystemError?

  private static let stagger = Duration.milliseconds(250)

  init(loop: EventLoop, endpoint: Endpoint, addresses: [SocketAddress]) {
    self.loop = loop
    self.endpoint = endpoint
    self.addresses = addresses[...]
    done = Waiters(loop: loop)
    ticket = done.ticket()
  }

  /// The connected, non-blocking descriptor, which is the caller's from now on.
  func run(
    until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> CInt {
    let operation = "connect to \(endpoint)"
    tryNext()
    let outcome = await done.wait(ticket, until: deadline)
    end()
    if let connected {
      if case .value = outcome { return connected }
      close(connected)
    }
    switch outcome {
    case .cancelled: throw SeamError(.cancelled, operation: operation, cause: "the caller cancelled")
    case .timedOut: throw SeamError(.unavailable, operation: operation, cause: "no answer in time")
    case .value:
      guard let failure else { throw SeamError(.unavailable, operation: operation, cause: "the name has no address") }
      let code: SeamError.Code = failure.code == EACCES || failure.code == EPERM ? .forbidden : .unavailable
      throw SeamError(code, native: Int(failure.code), operation: operation, cause: failure.description)
    }
  }

  private func tryNext() {
    if let timer { loop.cancel(timer) }
    timer = nil
    while let address = addresses.popFirst() {
      do throws(SystemError) {
        let descriptor = try address.beginConnect()
        do throws(SystemError) {
          attempts[descriptor] = try loop.watch(descriptor, for: .write) { [self] _ in decided(descriptor) }
        } catch {
          close(descriptor)
          throw error
        }
      } catch {
        failure = error
        continue
      }
      if !addresses.isEmpty { timer = loop.schedule(after: Self.stagger) { [self] in tryNext() } }
      return
    }
    if attempts.isEmpty { done.resume(ticket, ()) }
  }

  private func decided(_ descriptor: CInt) {
    guard let watch = attempts.removeValue(forKey: descriptor) else { return }
    loop.unwatch(watch)
    var code: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
    guard code == 0 else {
      close(descriptor)
      failure = SystemError(operation: "connect", code: code)
      return tryNext()
    }
    connected = descriptor
    addresses = []
    end()
    done.resume(ticket, ())
  }

  /// Gives up what is still under way.
  private func end() {
    if let timer { loop.cancel(timer) }
    timer = nil
    for (descriptor, watch) in attempts {
      loop.unwatch(watch)
      close(descriptor)
    }
    attempts = [:]
  }
}
