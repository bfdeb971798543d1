import ParleyRuntime

/// How a NATS backend is set up: the `backend_config` of `backend: nats`.
public struct NATSOptions: Hashable, Sendable {
  /// Where a stream keeps its messages.
  public enum Storage: String, Hashable, Sendable, CaseIterable {
    /// On the server's disk.
    case file
    /// In the server's memory; gone when it stops.
    case memory
  }

  /// How to say who we are. The server decides which it wants; none is for open servers.
  public enum Credentials: Hashable, Sendable {
    /// Nothing, or what the servers' URLs carry.
    case none
    /// A name and its password.
    case user(String, password: String)
    /// A token.
    case token(String)
    /// The path of a file with an NKEY seed (`SU…`).
    case nkeySeedFile(String)
    /// The path of a `.creds` file: a JWT and the seed it was made for.
    case credentialsFile(String)
  }

  /// What TLS needs beside the system's authorities; without any of it a `tls://` URL or the server asks for TLS.
  public struct TLS: Hashable, Sendable {
    /// Use TLS even where neither URL nor server ask for it.
    public var isRequired = false
    /// PEM file of the authorities that may have signed the server's certificate; nil for the system's.
    public var authorityFile: String?
    /// PEM file of our own certificate chain.
    public var certificateFile: String?
    /// PEM file of our own key.
    public var keyFile: String?
    /// The name that the server's certificate must carry, where it is not the URL's host.
    public var serverName: String?

    /// Makes settings that ask for nothing.
    public init() {}
  }

  /// The servers of one cluster, as URLs or `host:port`; at least one.
  public var servers = ["127.0.0.1:4222"]
  /// What every topic's subject begins with.
  public var subjectPrefix = "parley."
  /// What every topic's stream begins with.
  public var streamPrefix = "PARLEY_"
  /// What the subjects of our replies begin with, where an account may not use `_INBOX`.
  public var inboxPrefix = "_INBOX"
  /// The JetStream domain to use, for leaf nodes; nil for the server's own.
  public var domain: String?
  /// Who we are.
  public var credentials = Credentials.none
  /// How the connection is protected.
  public var tls = TLS()
  /// Messages older than this many days leave streams that we make; nil keeps all.
  public var retentionDays: Double?
  /// The largest size of a stream that we make, in bytes, its oldest messages leave first; nil for no limit.
  public var maximumBytes: Int?
  /// How many servers keep a stream that we make, 1 to 5.
  public var replicas = 1
  /// Where a stream that we make keeps its messages.
  public var storage = Storage.file
  /// How long a stream that we make remembers keys; at most its retention.
  public var keyWindow = Duration.seconds(86_400)
  /// A server that has been silent for so long, though asked, counts as lost.
  public var watchdog = Duration.seconds(8)
  /// How long each server may take to accept a connection.
  public var connectTimeout = Duration.seconds(2)

  /// Makes options with the defaults.
  public init() {}
}
