import Glibc
import ParleyRuntime

/// A real name server (dnsmasq) on 127.0.0.1 that knows what it is told and asks nobody else.
public final class NameServer: Sendable {
  /// An SRV record (RFC 2782).
  public struct Service: Sendable {
    /// Its name, for example `_xmpp-client._tcp.chat.test`.
    public var name: String
    /// The host; empty where the service is decidedly not offered.
    public var host: String
    /// The port.
    public var port: Int
    /// Lower ones are tried first.
    public var priority: Int
    /// Among equal priorities: how often it should be chosen.
    public var weight: Int

    /// Makes a record.
    public init(_ name: String, host: String, port: Int = 0, priority: Int = 0, weight: Int = 0) {
      self.name = name
      self.host = host
      self.port = port
      self.priority = priority
      self.weight = weight
    }
  }

  /// The port, UDP and TCP.
  public let port: Int
  /// The process, for everything that is done to it from outside.
  public let process: ServerProcess
  private let reservation: FreePort

  /// Starts one and returns when it answers.
  public static func start(_ services: [Service]) async throws(ServerFailure) -> NameServer {
    let server = try NameServer(services)
    try await server.process.start()
    return server
  }

  private init(_ services: [Service]) throws(ServerFailure) {
    let path = try TestPrograms.path("dnsmasq")
    do throws(SystemError) {
      let directory = try TemporaryDirectory()
      reservation = try FreePort()
      let port = reservation.number
      self.port = port
      var lines = [
        "port=\(port)", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts", "no-daemon",
        "user=root", "pid-file=\(directory.path("pid"))", "local=/#/",
      ]
      for service in services {
        lines.append(
          service.host.isEmpty
            ? "srv-host=\(service.name)"
            : "srv-host=\(service.name),\(service.host),\(service.port),\(service.priority),\(service.weight)")
      }
      try TextFile.write(lines.joined(separator: "\n") + "\n", to: directory.path("dnsmasq.conf"))
      process = ServerProcess(
        "dnsmasq", path: path, arguments: ["--conf-file=\(directory.path("dnsmasq.conf"))"], directory: directory
      ) {
        guard let descriptor = try? LocalSocket.connect(port: port, patience: .seconds(1)) else { return false }
        close(descriptor)
        return true
      }
    } catch { throw ServerFailure("dnsmasq: \(error)") }
  }
}
