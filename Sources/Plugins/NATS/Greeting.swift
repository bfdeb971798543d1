import ParleyRuntime

/// What a server says of itself before anything else: the line `INFO {…}`, in clear text also where TLS follows.
struct Greeting: Sendable {
  /// The server's version.
  let version: String
  /// It talks to nobody in clear.
  let requiresTLS: Bool

  /// Asks a server by a connection of its own, which is closed again; nil where it does not say in time.
  static func read(
    _ server: ServerAddress, loop: EventLoop, within patience: Duration = .seconds(2),
    isolation: isolated (any Actor)? = #isolation
  ) async -> Greeting? {
    let deadline = loop.now.advanced(by: patience)
    let line = Line(loop: loop)
    let stream: ByteStream
    do throws(SeamError) {
      stream = try await ByteStream.connect(
        to: .tcp(host: server.host, port: server.port), loop: loop, until: deadline)
    } catch {
      return nil
    }
    stream.start(onBytes: { line.take($0) }, onClose: { _ in line.end() })
    _ = await line.complete.wait(line.ticket, until: deadline)
    stream.close()
    guard line.bytes.starts(with: "INFO ".utf8), let end = line.bytes.firstIndex(of: UInt8(ascii: "\n")),
      let info = try? JSONSlice(line.bytes, in: 5..<end), let version = info.member("version")?.string
    else { return nil }
    return Greeting(version: version, requiresTLS: info.member("tls_required")?.bool ?? false)
  }

  /// The bytes up to the first newline, 64 KiB at most.
  //
  // @unchecked: only touched on its loop.
  private final class Line: @unchecked Sendable {
    let complete: Waiters<Void>
    let ticket: UInt64
    private(set) var bytes: [UInt8] = []

    init(loop: EventLoop) {
      complete = Waiters(loop: loop)
      ticket = complete.ticket()
    }

    func take(_ span: RawSpan) {
      bytes += [UInt8](copying: span)
      if bytes.contains(UInt8(ascii: "\n")) || bytes.count >= 65_536 { end() }
    }

    func end() { complete.resume(ticket, ()) }
  }
}
