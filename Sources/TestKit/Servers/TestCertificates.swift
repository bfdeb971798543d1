import Glibc
import ParleyRuntime

/// Keys and certificates for TLS under test, made with `openssl` once for each process; all paths are of PEM files.
public struct TestCertificates: Sendable {
  /// A certificate and its key.
  public struct Pair: Sendable {
    /// The certificate's path.
    public let certificate: String
    /// The key's path.
    public let key: String
  }

  /// The authority that signed `server`, `wrongHost` and `client`.
  public let authority: String
  /// An authority that signed none of them.
  public let wrongAuthority: String
  /// For 127.0.0.1, localhost, and the domains chat.test and rooms.chat.test.
  public let server: Pair
  /// A server's for another host: other.test.
  public let wrongHost: Pair
  /// A client's, common name `client`.
  public let client: Pair
  /// A client's that `wrongAuthority` signed.
  public let wrongClient: Pair

  /// The certificates of this process.
  public static func make() async throws(ServerFailure) -> TestCertificates {
    try await ServerProcess.onThread { _ throws(ServerFailure) in try made.get() }
  }

  /// Stays for as long as the process, so that servers started from it may be restarted.
  private static let made = Result { () throws(ServerFailure) in
    do throws(SystemError) { return try TestCertificates(in: TemporaryDirectory()) } catch {
      throw ServerFailure("make certificates: \(error)")
    }
  }

  private let directory: TemporaryDirectory

  private init(in directory: TemporaryDirectory) throws(SystemError) {
    self.directory = directory
    try TextFile.write(Self.script, to: directory.path("make.sh"))
    let log = try SystemError.check("creat", unsafe creat(directory.path("log"), 0o600))
    defer { close(log) }
    let id = try Spawn.start(
      "/bin/sh", ["-eu", "make.sh"], directory: directory.path, descriptors: [log, log, log])
    var status: CInt = 0
    _ = unsafe waitpid(id, &status, 0)
    guard status == 0 else {
      throw SystemError(operation: "openssl: \(TextFile.read(directory.path("log")) ?? "")", code: EIO)
    }
    func pair(_ name: String) -> Pair {
      Pair(certificate: directory.path("\(name).crt"), key: directory.path("\(name).key"))
    }
    authority = directory.path("ca.crt")
    wrongAuthority = directory.path("stranger.crt")
    server = pair("server")
    wrongHost = pair("wronghost")
    client = pair("client")
    wrongClient = pair("wrongclient")
  }

  private static let script = """
    authority() { # NAME
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=test CA $1" \\
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout $1.key -out $1.crt
    }
    certificate() { # NAME AUTHORITY COMMON-NAME ALTERNATIVE-NAMES
      openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$3" -keyout $1.key -out $1.csr
      printf 'basicConstraints=CA:FALSE\\nkeyUsage=digitalSignature\\n' >$1.ext
      printf 'extendedKeyUsage=serverAuth,clientAuth\\nsubjectAltName=%s\\n' "$4" >>$1.ext
      openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -days 30 -sha256 -extfile $1.ext -out $1.crt
    }
    authority ca
    authority stranger
    certificate server ca localhost DNS:localhost,IP:127.0.0.1,DNS:chat.test,DNS:rooms.chat.test
    certificate wronghost ca other.test DNS:other.test
    certificate client ca client DNS:client
    certificate wrongclient stranger client DNS:client
    """
}
