/// What one server takes from all clients and from each, and how long it waits for them.
package struct ServerLimits: Hashable, Sendable {
  /// The request line, in bytes.
  package var requestLineBytes = 8 << 10
  /// The header section, in bytes.
  package var headerBytes = 32 << 10
  /// Lines of the header section.
  package var headerCount = 100
  /// Bytes of further requests that are read while one is being answered.
  package var pipelinedBytes = 64 << 10
  /// Connections in all; over it the one that has waited longest without a request is closed for a new one.
  package var connections = 10_000
  /// Connections of one address, loopback and proxies excepted.
  package var connectionsPerClient = 256
  /// From the first byte of a head, or from the connection's begin, to the head's end.
  package var headTime: Duration = .seconds(10)
  /// From the end of the head to the end of the body.
  package var bodyTime: Duration = .seconds(30)
  /// Between two requests.
  package var idleTime: Duration = .seconds(75)
  /// A client that takes none of what is queued for it.
  package var stallTime: Duration = .seconds(30)
  /// A connection that was refused is read on so long, so that the client gets to see why.
  package var lingerTime: Duration = .seconds(2)
  /// Bytes queued for one client from which on a stream counts as congested.
  package var congestionBytes = 256 << 10
  /// Bytes queued for one client from which on it is given up.
  package var queueBytes = 8 << 20

  package init() {}
}
