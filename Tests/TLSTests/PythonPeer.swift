import ParleyRuntime
import ParleyTestKit

/// A TLS server by another hand: Python's ssl module, which echoes lines, or upgrades in mid-stream.
final class PythonPeer: @unchecked Sendable {  // confined to its loop
  let port: Int
  private let child: ChildProcess

  /// Starts it. `mode` is `direct`, `starttls`, or `injected` (clear text behind the word to upgrade).
  init(
    loop: EventLoop, certificates: Certificates, name: String, mode: String = "direct", demands: Bool = false,
    maximum: String = "TLSv1_3", isolation: isolated (any Actor)? = #isolation
  ) async throws {
    child = try ChildProcess(
      loop: loop, path: "/usr/bin/env",
      arguments: ["python3", "-u", "-c", Self.script, name, mode, demands ? "1" : "0", maximum],
      directory: certificates.folder.path)
    guard let line = await child.nextLine(until: loop.now.advanced(by: .seconds(20))), let port = Int(line) else {
      throw SeamError(.unavailable, operation: "start the peer", cause: child.errorLines.joined(separator: "; "))
    }
    self.port = port
  }

  /// The next line that it printed: what it saw of a connection.
  func says(_ loop: EventLoop, isolation: isolated (any Actor)? = #isolation) async -> String? {
    await child.nextLine(until: loop.now.advanced(by: .seconds(10)))
  }

  private static let script = """
    import socket, ssl, sys, hashlib
    name, mode, demands, maximum = sys.argv[1:5]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(name + '.pem', name + '.key')
    context.maximum_version = getattr(ssl.TLSVersion, maximum)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers('ALL:@SECLEVEL=0')
    context.set_alpn_protocols(['xmpp-client'])
    names = []
    context.sni_callback = lambda sock, n, ctx: names.append(n)
    if demands == '1':
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations('ca.pem')
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen()
    print(listener.getsockname()[1])
    while True:
        sock, _ = listener.accept()
        sock.settimeout(10)
        try:
            if mode != 'direct':
                assert sock.recv(100) == b'starttls'
                sock.sendall(b'proceed' + (b'<injected/>' if mode == 'injected' else b''))
            tls = context.wrap_socket(sock, server_side=True)
            peer = tls.getpeercert()
            print(tls.version(), names[-1] if names else None, tls.selected_alpn_protocol(), 'cert' if peer else 'anonymous')
            while True:
                data = tls.recv(65536)
                if not data: break
                tls.sendall(data)
            print('end')
        except Exception as e:
            print(type(e).__name__)
        sock.close()
    """
}
