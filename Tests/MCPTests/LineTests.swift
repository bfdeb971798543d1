import CLinux
import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

@Suite("Lines over descriptors") struct LineTests {
  /// What a reader told, and a place to wait for its end.
  private final class Collected: @unchecked Sendable {
    var lines: [String] = []
    var overlong = 0
    let ended: Waiters<Void>
    var hasEnded = false

    init(loop: EventLoop) { ended = Waiters(loop: loop) }

    func take(_ event: LineReader.Event) {
      switch event {
      case .line(let line): lines.append(String(decoding: line, as: UTF8.self))
      case .overlong: overlong += 1
      case .hangUpWhilePaused: break
      case .end, .failed:
        hasEnded = true
        ended.resumeAll(())
      }
    }

    func end(_ loop: EventLoop) async {
      if !hasEnded { _ = await ended.wait(ended.ticket(), until: loop.now.advanced(by: .seconds(5))) }
    }
  }

  private static func temporaryFile(_ text: String = "") throws -> CInt {
    var name = Array("/tmp/parley-lines-XXXXXX".utf8CString)
    let descriptor = try SystemError.check("mkstemp", mkstemp(&name))
    unlink(name)
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    lseek(descriptor, 0, SEEK_SET)
    return descriptor
  }

  @Test("a regular file is read to its end, by a thread") func regularFile() async throws {
    try await onLoop { loop in
      let text = (1...5000).map { "line \($0)" }.joined(separator: "\n")
      let file = try Self.temporaryFile(text)
      let collected = Collected(loop: loop)
      let reader = LineReader(loop: loop, descriptor: file, limit: 100) { collected.take($0) }
      try reader.start()
      await collected.end(loop)
      #expect(collected.lines == (1...5000).map { "line \($0)" })
      close(file)
    }
  }

  @Test("nothing to read ends at once") func devNull() async throws {
    try await onLoop { loop in
      let null = open("/dev/null", O_RDONLY)
      let collected = Collected(loop: loop)
      let reader = LineReader(loop: loop, descriptor: null, limit: 100) { collected.take($0) }
      try reader.start()
      await collected.end(loop)
      #expect(collected.hasEnded && collected.lines.isEmpty)
      close(null)
    }
  }

  @Test("a regular file is written whole, by a thread, from where it stands") func fileWriter() async throws {
    try await onLoop { loop in
      let file = try Self.temporaryFile("first\n")
      lseek(file, 0, SEEK_END)
      let writer = try LineWriter(loop: loop, descriptor: file) { _ in }
      for number in 1...2000 { writer.append(Array("line \(number)".utf8)) }
      await writer.emptied(until: loop.now.advanced(by: .seconds(5)))
      #expect(writer.queuedBytes == 0)
      lseek(file, 0, SEEK_SET)
      let collected = Collected(loop: loop)
      let reader = LineReader(loop: loop, descriptor: file, limit: 100) { collected.take($0) }
      try reader.start()
      await collected.end(loop)
      #expect(collected.lines == ["first"] + (1...2000).map { "line \($0)" })
      writer.close()
      close(file)
    }
  }

  @Test("socket pairs carry megabytes both ways, watermarks are told, and flags stay as they were") func sockets()
    async throws
  {
    try await onLoop { loop in
      var ends: [CInt] = [-1, -1]
      let kind = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
      try SystemError.check("socketpair", socketpair(AF_UNIX, kind, 0, &ends))
      let (near, far) = (ends[0], ends[1])
      let collected = Collected(loop: loop)
      let told = Told()
      let writer = try LineWriter(loop: loop, descriptor: near) { told.events.append("\($0)") }
      let reader = LineReader(loop: loop, descriptor: far, limit: 10_000) { collected.take($0) }
      let line = [UInt8](repeating: UInt8(ascii: "x"), count: 9_999)
      for _ in 1...300 { writer.append(line) }
      #expect(told.events == ["congested"])
      try reader.start()
      await writer.emptied(until: loop.now.advanced(by: .seconds(5)))
      #expect(told.events == ["congested", "drained"])
      for descriptor in [near, far] { #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK == 0) }
      writer.close()
      close(near)
      await collected.end(loop)
      #expect(collected.lines.count == 300 && collected.lines.allSatisfy { $0.utf8.count == 9_999 })
      reader.stop()
      close(far)
    }
  }

  private final class Told: @unchecked Sendable {
    var events: [String] = []
  }

  @Test("a pipe's flags stay as they were") func pipeFlags() async throws {
    try await onLoop { loop in
      var ends: [CInt] = [-1, -1]
      try SystemError.check("pipe2", parley_pipe(&ends))
      let reader = LineReader(loop: loop, descriptor: ends[0], limit: 100) { _ in }
      try reader.start()
      let writer = try LineWriter(loop: loop, descriptor: ends[1]) { _ in }
      for descriptor in ends { #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK == 0) }
      writer.close()
      reader.stop()
      for descriptor in ends { close(descriptor) }
    }
  }

  @Test("limits: a line of exactly the limit passes, one more byte is told once, then the next line comes")
  func limits() async throws {
    try await onLoop { loop in
      let fits = String(repeating: "a", count: 100)
      let file = try Self.temporaryFile(
        "\u{FEFF}\n\(fits)\n\(fits)b\nnext\r\n\r\n\n" + String(repeating: "c", count: 200_000) + "\nlast")
      let collected = Collected(loop: loop)
      let reader = LineReader(loop: loop, descriptor: file, limit: 100) { collected.take($0) }
      try reader.start()
      await collected.end(loop)
      #expect(collected.lines == [fits, "next", "last"])
      #expect(collected.overlong == 2)
      close(file)
    }
  }
}
