import ParleyRuntime
import ParleyTestKit
import Testing

/// A small identity provider in Python: metadata, a key set that can be changed, and tokens of any make. Confined to its
/// loop.
final class IdentityProvider: @unchecked Sendable {
  let issuer: String
  private let child: ChildProcess
  private let loop: EventLoop

  init(loop: EventLoop) async throws {
    self.loop = loop
    child = try ChildProcess(
      loop: loop, path: try TestPrograms.path("python3"), arguments: ["-u", "-c", Self.program],
      environment: ["PATH": "/usr/bin:/bin"])
    let soon = loop.now.advanced(by: .seconds(30))
    issuer = try #require(await child.nextLine(until: soon), "\(child.errorLines)")
  }

  /// Sends a command and returns its one line of answer.
  func ask(_ command: JSONValue) async throws -> String {
    child.send(command.text + "\n")
    return try #require(await child.nextLine(until: loop.now.advanced(by: .seconds(30))), "\(child.errorLines)")
  }

  /// A token: claims over the usual ones (nil in `claims` drops one), by a key of an algorithm.
  func token(
    _ claims: JSONObject = [:], algorithm: String = "RS256", key: String = "rsa-1", header: JSONObject = [:]
  ) async throws -> String {
    try await ask([
      "do": "token", "claims": .object(claims), "algorithm": .string(algorithm), "key": .string(key),
      "header": .object(header),
    ])
  }

  /// How often a path was asked for.
  func count(_ path: String) async throws -> Int {
    try #require(Int(try await ask(["do": "count", "path": .string(path)])))
  }

  private static let program = #"""
    import base64, hashlib, hmac, http.server, json, sys, threading, time
    import jwt
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm

    def b64(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    keys = {name: rsa.generate_private_key(public_exponent=65537, key_size=size)
            for name, size in (("rsa-1", 2048), ("rsa-2", 2048), ("thief", 2048), ("weak", 1024))}
    keys["ec-1"] = ec.generate_private_key(ec.SECP256R1())
    shown, counts, over = ["rsa-1", "ec-1", "weak"], {}, {}

    def public(name):
        kind = ECAlgorithm if name.startswith("ec") else RSAAlgorithm
        key = json.loads(kind.to_jwk(keys[name].public_key()))
        return {k: v for k, v in key.items() if k != "key_ops"} | {"kid": name, "use": "sig"}

    class Provider(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            counts[self.path] = counts.get(self.path, 0) + 1
            if self.path == "/.well-known/openid-configuration":
                body = {"issuer": issuer, "jwks_uri": issuer + "/keys"} | over
            elif self.path == "/keys":
                body = {"keys": [public(name) for name in shown] + [{"kty": "oct", "k": "AAAA"}, {"kty": "RSA"}, 7]}
            else:
                self.send_error(404)
                return
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        def log_message(self, *arguments): pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    issuer = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(issuer)

    def token(order):
        now = int(time.time())
        claims = {"iss": issuer, "aud": ["other", "https://parley.example.org/mcp"], "sub": "u-1", "exp": now + 300,
                  "preferred_username": "ada", "realm_access": {"roles": ["parley"]}, "scope": "openid"}
        for name, value in order["claims"].items():
            if value is None: claims.pop(name, None)
            elif isinstance(value, str) and value.startswith("now"): claims[name] = now + int(value[3:] or 0)
            else: claims[name] = value
        header = {"kid": order["key"], "typ": "JWT"} | order["header"]
        header = {name: value for name, value in header.items() if value is not None}
        algorithm, key = order["algorithm"], keys.get(order["key"])
        if algorithm in ("none", "HS256"):
            # As an attacker makes them: unsigned, or with the public key as the secret.
            text = b64(json.dumps(header | {"alg": algorithm}).encode()) + "." + b64(json.dumps(claims).encode())
            if algorithm == "none": return text + "."
            secret = json.dumps(public("rsa-1")).encode()
            return text + "." + b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())
        return jwt.encode(claims, key, algorithm=algorithm, headers=header)

    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "token": print(token(order))
        elif order["do"] == "count": print(counts.get(order["path"], 0))
        elif order["do"] == "show":
            shown[:] = order["keys"]
            print("ok")
        elif order["do"] == "say":
            over.update(order["metadata"])
            print("ok")
    """#
}
