import Glibc
import ParleyRuntime

/// nghttpx in front of a server of HTTP/1.1, as an operator puts a reverse proxy there: TLS and HTTP/2 towards clients.
public final class HTTP2Proxy: Sendable {
  /// A request that went through.
  public struct Visit: Hashable, Sendable {
    /// The client's port: one for each of its connections.
    public let connection: String
    /// What TLS agreed on: `h2`, `http/1.1`.
    public let layer: String
    /// The path with its query.
    public let path: String
  }

  /// The port of clients, HTTPS.
  public let port: Int
  /// The process, for everything that is done to it from outside.
  public let process: ServerProcess
  private let reserved: FreePort

  /// Starts a proxy to a port on 127.0.0.1 and returns when it can be connected to.
  public static func start(to port: Int, certificates: TestCertificates) async throws(ServerFailure) -> HTTP2Proxy {
    let proxy = try HTTP2Proxy(to: port, certificates)
    try await proxy.process.start()
    return proxy
  }

  private init(to server: Int, _ certificates: TestCertificates) throws(ServerFailure) {
    let path = try TestPrograms.path("nghttpx")
    do throws(SystemError) {
      let directory = try TemporaryDirectory()
      reserved = try FreePort()
      let port = reserved.number
      self.port = port
      process = ServerProcess(
        "nghttpx", path: path,
        arguments: [
          "--conf=/dev/null", "--single-process", "--workers=1", "--no-ocsp", "--frontend=127.0.0.1,\(port)",
          "--backend=127.0.0.1,\(server)", "--accesslog-file=\(directory.path("visits"))",
          "--accesslog-format=$remote_port $alpn $path", "--accesslog-write-early", certificates.server.key,
          certificates.server.certificate,
        ], directory: directory
      ) {
        guard let descriptor = try? LocalSocket.connect(port: port, patience: .seconds(1)) else { return false }
        close(descriptor)
        return true
      }
    } catch { throw ServerFailure("nghttpx: \(error)") }
  }

  /// The requests so far, as their answers began.
  public var visits: [Visit] {
    (TextFile.read(process.directory.path("visits")) ?? "").split(separator: "\n").compactMap { line in
      let parts = line.split(separator: " ", maxSplits: 2).map(String.init)
      return parts.count == 3 ? Visit(connection: parts[0], layer: parts[1], path: parts[2]) : nil
    }
  }
}
