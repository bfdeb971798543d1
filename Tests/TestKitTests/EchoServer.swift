import ParleyTestKit

/// A server for tests of the kit itself: `cat` behind a socket, with no more than Debian's own Python.
enum EchoServer {
  /// A server that sends back what it gets, and its port.
  static func start() async throws -> (process: ServerProcess, port: FreePort) {
    let port = try FreePort()
    let directory = try TemporaryDirectory()
    try TextFile.write(
      """
      import socketserver, sys
      class Echo(socketserver.BaseRequestHandler):
          def handle(self):
              while data := self.request.recv(65536): self.request.sendall(data)
      class Server(socketserver.ThreadingTCPServer):
          allow_reuse_address = True
          daemon_threads = True
      print("echo up", flush=True)
      Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
      """, to: directory.path("echo.py"))
    let process = ServerProcess(
      "echo", path: "/usr/bin/env", arguments: ["python3", directory.path("echo.py"), "\(port.number)"],
      directory: directory
    ) { (try? BlockingClient(port: port.number)) != nil }
    try await process.start()
    return (process, port)
  }
}
