import ParleyRuntime

/// One request and the way back to its client: answered whole, or by a stream of pieces. Confined to the loop.
///
/// Each exchange is ended once, by `answer` or `endStream`; when the client goes first, `onGone` is called instead, and
/// what is written from then on is dropped.
//
// @unchecked: confined to the loop's thread.
package final class HTTPExchange: @unchecked Sendable {
  private enum Phase {
    case open
    case streaming
    case over
  }

  package let head: RequestHead
  package let body: [UInt8]
  /// The other end of the connection; nil for a Unix socket.
  package let peer: IPAddress?
  /// What the application found out when it admitted the request, where the body was there already.
  package let finding: (any Sendable)?
  private var phase = Phase.open
  private weak var connection: HTTPConnection?

  /// Called once when the client has gone, or was given up, before the exchange was ended.
  package var onGone: (() -> Void)?
  /// Called once when the exchange is over, however it ended.
  package var onEnd: (() -> Void)?
  /// Called with true when the client takes a stream more slowly than it is written, with false when all is sent.
  package var onCongestion: ((Bool) -> Void)?

  init(
    head: RequestHead, body: [UInt8], peer: IPAddress?, finding: (any Sendable)?, connection: HTTPConnection
  ) {
    self.head = head
    self.body = body
    self.peer = peer
    self.finding = finding
    self.connection = connection
  }

  /// Nothing can be sent any more.
  package var isOver: Bool { phase == .over }
  /// The status is sent, and pieces may follow.
  package var isStreaming: Bool { phase == .streaming }

  /// Sends the whole response. No effect unless nothing was sent.
  package func answer(_ response: HTTPResponse) {
    guard phase == .open, let connection else { return }
    end()
    connection.finish(self, with: response)
  }

  /// Sends the status and header lines at once; pieces follow by `send`. No effect unless nothing was sent.
  package func beginStream(_ status: Int, fields: [(name: String, value: String)]) {
    guard phase == .open, let connection else { return }
    phase = .streaming
    connection.beginStream(status, fields, for: head)
  }

  /// Sends a piece of a stream.
  package func send(_ piece: [UInt8]) {
    guard phase == .streaming, !piece.isEmpty else { return }
    connection?.send(piece)
  }

  /// Ends the stream.
  package func endStream() {
    guard phase == .streaming, let connection else { return }
    end()
    connection.finishStream(self)
  }

  func lost() {
    guard phase != .over else { return }
    let tell = onGone
    end()
    tell?()
  }

  private func end() {
    phase = .over
    onGone = nil
    onCongestion = nil
    let tell = onEnd
    onEnd = nil
    tell?()
  }
}
