import ParleyRuntime
import Testing

@testable import ParleyHTTPServer

/// What the parser makes of well-formed and malformed requests, whole and byte by byte.
@Suite struct ParserTests {
  /// The status that a request is refused with; 0 where it is not, -1 where it is not complete.
  private static func verdict(_ text: String, piece: Int = .max, limits: ServerLimits = ServerLimits()) -> Int {
    var parser = RequestParser(limits: limits)
    var rest = Array(text.utf8)[...]
    var head: RequestHead?
    do throws(HTTPRefusal) {
      repeat {
        let piece = rest.prefix(piece)
        rest = rest.dropFirst(piece.count)
        parser.take(piece)
        if head == nil { head = try parser.nextHead() }
        if head != nil, try parser.nextBody(limit: 1 << 20) != nil { return 0 }
      } while !rest.isEmpty
      return -1
    } catch { return error.status }
  }

  static let host = "Host: a\r\n"

  static let cases: [(request: String, status: Int)] = [
    ("GET / HTTP/1.1\r\n\(host)\r\n", 0),
    ("\r\n\r\nGET / HTTP/1.1\r\n\(host)\r\n", 0),
    ("GET / HTTP/1.0\r\n\r\n", 0),
    ("GET / HTTP/1.2\r\n\(host)\r\n", 0),
    ("OPTIONS * HTTP/1.1\r\n\(host)\r\n", 0),
    ("GET http://b:80/x?y HTTP/1.1\r\n\(host)\r\n", 0),
    ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0),
    ("GET / HTTP/1.1\r\nHost: a:80\r\nX:\t v \t\r\n\r\n", 0),
    ("POST / HTTP/1.1\r\n\(host)Content-Length: 3\r\n\r\nabc", 0),
    ("POST / HTTP/1.1\r\n\(host)Content-Length: 4\r\n\r\nabc", -1),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: Chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0\r\nT: v\r\n\r\n", 0),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", -1),
    // The request line.
    ("GET  / HTTP/1.1\r\n\(host)\r\n", 400),
    (" GET / HTTP/1.1\r\n\(host)\r\n", 400),
    ("GET / HTTP/1.1 \r\n\(host)\r\n", 400),
    ("GET\t/ HTTP/1.1\r\n\(host)\r\n", 400),
    ("GET / HTTP/1.1\n\(host)\n", 400),
    ("GET / HTTP/1.1\r\n\(host)\n", 400),
    ("GET / HTTP/1.1\r\r\n\(host)\r\n", 400),
    ("G@T / HTTP/1.1\r\n\(host)\r\n", 400),
    ("GET / http/1.1\r\n\(host)\r\n", 400),
    ("GET / HTTP/11\r\n\(host)\r\n", 400),
    ("GET / HTTP/9.9\r\n\(host)\r\n", 505),
    ("GET / HTTP/2.0\r\n\(host)\r\n", 505),
    ("GET x HTTP/1.1\r\n\(host)\r\n", 400),
    ("GET /a#b HTTP/1.1\r\n\(host)\r\n", 400),
    ("GET /\u{e9} HTTP/1.1\r\n\(host)\r\n", 400),
    ("GET ftp://a/ HTTP/1.1\r\n\(host)\r\n", 400),
    ("GET http:///x HTTP/1.1\r\n\(host)\r\n", 400),
    ("BREW / HTTP/1.1\r\n\(host)\r\n", 501),
    ("CONNECT a:1 HTTP/1.1\r\n\(host)\r\n", 501),
    // Header lines.
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a:1x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\(host)X: 1\r\n 2\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\(host)X\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\(host): x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\(host)X y: 1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\(host)X(: 1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\(host)X: \u{0}\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\(host)X: \u{7F}\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\(host)X: a\rb\r\n\r\n", 400),
    // Framing: everything that two programs could read in two ways.
    ("POST / HTTP/1.1\r\n\(host)Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\n\(host)Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\n\(host)Content-Length: 3, 3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\n\(host)Content-Length: +3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\n\(host)Content-Length: -3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\n\(host)Content-Length: 0x3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\n\(host)Content-Length:\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\n\(host)Content-Length: 99999999999999999999\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Content-Length: 99999999999999999\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\n\(host)Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: \u{B}chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Expect: 200-ok\r\n\r\n", 417),
    // Chunks.
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\nfffffffffffff\r\n", 400),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413),
    ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0\r\nT : v\r\n\r\n", 400),
  ]

  @Test(arguments: cases) func isJudged(_ request: String, _ status: Int) {
    for piece in [Int.max, 1, 2, 7] {
      #expect(Self.verdict(request, piece: piece) == status, "\(request.debugDescription) in pieces of \(piece)")
    }
  }

  @Test func limitsAreKept() {
    var limits = ServerLimits()
    limits.requestLineBytes = 100
    limits.headerBytes = 200
    limits.headerCount = 3
    let long = String(repeating: "x", count: 100)
    #expect(Self.verdict("GET /\(long) HTTP/1.1\r\n\(Self.host)\r\n", limits: limits) == 414)
    #expect(Self.verdict("GET /\(long)", limits: limits) == 414)
    #expect(Self.verdict("GET / HTTP/1.1\r\n\(Self.host)A: \(long)\r\nB: \(long)\r\n\r\n", limits: limits) == 431)
    #expect(Self.verdict("GET / HTTP/1.1\r\n\(Self.host)A: \(long)\(long)", limits: limits) == 431)
    #expect(Self.verdict("GET / HTTP/1.1\r\n\(Self.host)A: 1\r\nB: 1\r\nC: 1\r\n\r\n", limits: limits) == 431)
    let chunked = "POST / HTTP/1.1\r\n\(Self.host)Transfer-Encoding: chunked\r\n\r\n"
    #expect(Self.verdict("\(chunked)0\r\nA: \(long)\r\nB: \(long)\r\n\r\n", limits: limits) == 431)
    #expect(Self.verdict("\(chunked)1;\(long)\(long)\(long)\r\n", limits: limits) == 431)
  }

  @Test func pipelinedRequestsComeOneByOne() throws {
    var parser = RequestParser(limits: ServerLimits())
    parser.take(
      Array(
        ("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
          + "POST /2?q HTTP/1.1\r\nHost: A:80\r\nTransfer-Encoding: chunked\r\nConnection: x, Close\r\n\r\n"
          + "1\r\na\r\n2\r\nbc\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: [2001:db8::1]:1\r\n\r\n").utf8))
    let first = try #require(try parser.nextHead())
    #expect(try parser.nextHead() == nil)
    #expect(try parser.nextBody(limit: 10) == Array("hi".utf8))
    let second = try #require(try parser.nextHead())
    #expect(try parser.nextBody(limit: 10) == Array("abc".utf8))
    let third = try #require(try parser.nextHead())
    #expect(try parser.nextBody(limit: 10) == [])
    #expect(try parser.nextHead() == nil && parser.buffered == 0)
    #expect([first.path, second.path, third.path] == ["/1", "/2", "/3"] && second.query == "q")
    #expect(first.keepsAlive && !second.keepsAlive && second.authority == "a:80" && second.host == "a")
    #expect(third.host == "2001:db8::1")
  }

  @Test func acceptIsRead() throws {
    func head(_ accept: String) throws -> RequestHead {
      var parser = RequestParser(limits: ServerLimits())
      parser.take(Array("GET / HTTP/1.1\r\nHost: a\r\n\(accept)\r\n".utf8))
      return try #require(try parser.nextHead())
    }
    #expect(try head("").accepts("application/json"))
    #expect(try head("Accept: application/json;q=0.9, text/event-stream\r\n").accepts("text/event-stream"))
    #expect(try head("Accept: text/html\r\nACCEPT: Application/JSON\r\n").accepts("application/json"))
    #expect(try head("Accept: text/*\r\n").accepts("text/event-stream"))
    #expect(try !head("Accept: text/*\r\n").accepts("application/json"))
    #expect(try !head("Accept: application/json; q=0\r\n").accepts("application/json"))
  }

  /// Whatever comes, in whatever pieces, is read the same way, in bounded memory, without a trap.
  @Test func garbageIsReadTheSameWayInAnyPieces() {
    var generator = SystemRandomNumberGenerator()
    let seeds = Self.cases.map { Array($0.request.utf8) }
    let alphabet = Array("\r\n\t :;,=0aF/*\u{0}\u{FF}GETchunkedHost-".utf8)
    for round in 0..<4_000 {
      var bytes = seeds.randomElement(using: &generator) ?? []
      for _ in 0..<Int.random(in: 0...4, using: &generator) {
        let place = Int.random(in: 0...bytes.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes.insert(alphabet.randomElement(using: &generator) ?? 0, at: place)
        case 1: if place < bytes.count { bytes.remove(at: place) }
        case 2: if place < bytes.count { bytes[place] = UInt8.random(in: 0...255, using: &generator) }
        default: bytes += seeds.randomElement(using: &generator) ?? []
        }
      }
      let whole = Self.outcome(bytes, pieces: [bytes.count])
      var pieces: [Int] = []
      while pieces.reduce(0, +) < bytes.count { pieces.append(Int.random(in: 1...9, using: &generator)) }
      #expect(whole == Self.outcome(bytes, pieces: pieces), "round \(round): \(bytes)")
    }
  }

  private struct Outcome: Equatable {
    var paths: [String] = []
    var bodies: [[UInt8]] = []
    var status = 0
  }

  private static func outcome(_ bytes: [UInt8], pieces: [Int]) -> Outcome {
    var parser = RequestParser(limits: ServerLimits())
    var outcome = Outcome()
    var rest = bytes[...]
    var isInBody = false
    do throws(HTTPRefusal) {
      for size in pieces {
        parser.take(rest.prefix(size))
        rest = rest.dropFirst(size)
        while true {
          if isInBody {
            guard let body = try parser.nextBody(limit: 4096) else { break }
            outcome.bodies.append(body)
            isInBody = false
          } else {
            guard let head = try parser.nextHead() else { break }
            outcome.paths.append(head.path)
            isInBody = true
          }
        }
      }
    } catch { outcome.status = error.status }
    return outcome
  }
}
