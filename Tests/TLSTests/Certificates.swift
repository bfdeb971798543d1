import ParleyRuntime
import ParleyTestKit

/// An authority of one test and what it signs, made by the openssl command.
final class Certificates: Sendable {
  let folder: TemporaryDirectory
  private let loop: EventLoop

  /// Makes the authority `ca`.
  init(loop: EventLoop, isolation: isolated (any Actor)? = #isolation) async throws {
    folder = try TemporaryDirectory()
    self.loop = loop
    try await openssl(
      ["req", "-x509"] + Self.newKey + [
        "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority",
      ])
  }

  func path(_ name: String) -> String { folder.path(name) }

  /// Makes `<name>.pem` and `<name>.key` for these subject alternative names, signed by the authority; with days below
  /// zero it has expired already.
  func sign(
    _ name: String, for names: String, days: Int = 2, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    try await openssl(
      ["req"] + Self.newKey + ["-keyout", "\(name).key", "-out", "\(name).csr", "-subj", "/CN=\(name)"])
    try await shell(
      "printf 'subjectAltName=\(names)' > \(name).ext && openssl x509 -req -in \(name).csr -CA ca.pem -CAkey ca.key "
        + "-CAcreateserial -days \(days) -extfile \(name).ext -out \(name).pem")
  }

  private static let newKey = [
    "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
  ]

  private func openssl(_ arguments: [String], isolation: isolated (any Actor)? = #isolation) async throws {
    try await shell("openssl " + arguments.map { "'\($0)'" }.joined(separator: " "))
  }

  private func shell(_ command: String, isolation: isolated (any Actor)? = #isolation) async throws {
    let child = try ChildProcess(loop: loop, path: "/bin/sh", arguments: ["-c", command], directory: folder.path)
    let exit = await child.waitForExit(until: loop.now.advanced(by: .seconds(20)))
    guard exit == .status(0) else {
      throw SeamError(.unavailable, operation: command, cause: child.errorLines.joined(separator: "; "))
    }
  }
}
