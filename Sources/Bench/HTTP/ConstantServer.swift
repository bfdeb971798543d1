import Glibc
import ParleyHTTPServer
import ParleyRuntime

/// The floor of the HTTP door: the same server library, which answers every request with one fixed body.
final class ConstantServer: HTTPApplication, Sendable {
  private let response: HTTPResponse

  private init(bytes: Int) {
    response = .json(200, [UInt8](repeating: UInt8(ascii: "x"), count: bytes))
  }

  func admit(_ head: RequestHead, from peer: IPAddress?) -> HTTPAdmission { .body(limit: 1 << 20) }

  func handle(_ exchange: HTTPExchange) { exchange.answer(response) }

  /// Serves as a child until it is killed: prints its port, answers with so many bytes.
  static func serve(_ arguments: ArraySlice<String>) -> Never {
    do {
      let loop = try EventLoop(name: "constant")
      let server = HTTPServer(
        loop: loop, application: ConstantServer(bytes: arguments.first.flatMap { Int($0) } ?? 0))
      let never = Waiters<Void>(loop: loop)
      try loop.run { () async -> Result<Void, SystemError> in
        do throws(SystemError) {
          guard case .tcp(_, let port) = try server.listen(on: .tcp(host: "127.0.0.1", port: 0)) else { exit(1) }
          print(port)
          fflush(nil)
        } catch { return .failure(error) }
        _ = await never.wait(never.ticket(), until: nil)
        return .success(())
      }.get()
    } catch { print(error) }
    exit(1)
  }
}
