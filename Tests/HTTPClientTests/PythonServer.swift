import ParleyRuntime
import ParleyTestKit
import Testing

/// A small HTTP/1.1 server of Python's standard library.
final class PythonServer: Sendable {
  private let child: ChildProcess
  private let port: Int
  private let scheme: String

  init(loop: EventLoop, certificates: TestCertificates?, isolation: isolated (any Actor)? = #isolation) async throws {
    let tls = certificates.map { [$0.server.certificate, $0.server.key] } ?? []
    child = try ChildProcess(loop: loop, path: "/usr/bin/env", arguments: ["python3", "-c", Self.program] + tls)
    scheme = tls.isEmpty ? "http" : "https"
    let line = await child.nextLine(until: loop.now.advanced(by: .seconds(20)))
    port = try #require(line.flatMap { Int($0) }, "\(child.errorLines)")
  }

  func url(_ path: String) -> String { "\(scheme)://127.0.0.1:\(port)\(path)" }

  private static let program = #"""
    import gzip, json, socket, ssl, sys, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *args): pass
        def answer(self, status, body=b"", headers={}):
            self.send_response(status)
            for name, value in headers.items(): self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = self.path.split("?")[0].split("/")
            what, argument = parts[1], int(parts[2]) if len(parts) > 2 else 0
            if what == "echo":
                echo = {"method": self.command, "path": self.path, "body": body.decode(),
                        "headers": {name.lower(): value for name, value in self.headers.items()}}
                self.answer(200, json.dumps(echo).encode(), {"Content-Type": "application/json"})
            elif what == "status": self.answer(argument)
            elif what == "connection": self.answer(200, str(self.client_address[1]).encode())
            elif what == "delay":
                time.sleep(argument / 1000)
                self.answer(200)
            elif what == "big": self.answer(200, b"x" * argument)
            elif what == "gzip":
                self.answer(200, gzip.compress(b"x" * argument), {"Content-Encoding": "gzip"})
            elif what == "cut":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            elif what == "cut-in-body":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"only this")
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            elif what == "close-after":
                self.answer(200)
                self.close_connection = True
        do_GET = do_POST = do_PUT = do_DELETE = handle_any

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()
    """#
}
