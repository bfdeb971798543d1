import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// The cell in which the records of several doors stand.
@Suite struct CellTests {
  private static let rights =
    "doors on >geheim ~parley:auth resetchannels -@all +eval +xadd +xread +xrevrange +info +select"

  private func cell(_ place: Place, user: String = "doors:geheim", database: Int = 1) throws -> RedisCell {
    var settings = Settings(defaultsOf: RedisOptions.description.schema)
    settings["url"] = .string("redis://\(user)@127.0.0.1:\(place.server.port)/\(database)")
    return RedisCell(loop: place.loop, options: try RedisOptions(settings), key: "parley:auth")
  }

  /// With no more rights than the documentation names.
  @Test func changesAreOneStepAndTold() async throws {
    var options = RedisServer.Options()
    options.users = [Self.rights]
    try await withServer(options) { place in
      let (one, other) = (try cell(place), try cell(place))
      try await one.connect()
      try await other.connect()
      #expect(try await one.read() == (0, ""))
      #expect(try await one.newer(than: 0, waits: false) == nil)
      let told = place.loop.spawn { try? await other.newer(than: 0, waits: true) }
      #expect(try await one.replace(0, with: "first: ü\n"))
      #expect(await told.value?.text == "first: ü\n")
      #expect(try await other.read() == (1, "first: ü\n"))
      // Whoever comes late is not heard.
      #expect(try await other.replace(0, with: "late") == false)
      #expect(try await other.replace(1, with: "second"))
      #expect(try await one.replace(1, with: "late") == false)
      #expect(try await one.newer(than: 1, waits: false)?.text == "second")
      // Of the old ones nothing is left.
      #expect(try await one.newer(than: 0, waits: false)?.number == 2)
      await one.disconnect()
      await #expect(throws: SeamError.self) { try await one.read() }
      try await one.connect()
      #expect(try await one.read() == (2, "second"))
      await one.disconnect()
      await other.disconnect()
    }
  }

  @Test func aServerThatMayEvictIsRefused() async throws {
    var options = RedisServer.Options()
    options.users = [Self.rights, "mute on >geheim ~parley:auth -@all +eval +xadd +xread +xrevrange +select"]
    options.lines = ["maxmemory 100mb", "maxmemory-policy allkeys-lru"]
    try await withServer(options) { place in
      func failure(_ user: String) async throws -> SeamError? {
        let cell = try cell(place, user: user)
        do throws(SeamError) {
          try await cell.connect()
          return nil
        } catch { return error }
      }
      let refused = try await failure("doors:geheim")
      #expect(refused?.code == .unsupported && refused?.cause.contains("maxmemory-policy noeviction") == true)
      try await place.server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
      #expect(try await failure("doors:geheim") == nil)
      // Who may not ask does not know.
      #expect(try await failure("mute:geheim")?.cause.contains("+info") == true)
    }
  }

  @Test func itsLossIsNoticed() async throws {
    try await withServer { place in
      let cell = try cell(place, user: "testkit:testkit")
      try await cell.connect()
      #expect(try await cell.replace(0, with: "kept"))
      let waiting = place.loop.spawn { () async -> Bool in
        do throws(SeamError) {
          while true { _ = try await cell.newer(than: 1, waits: true) }
        } catch { return true }
      }
      place.server.process.kill()
      #expect(await waiting.value)
      await #expect(throws: SeamError.self) { try await cell.read() }
    }
  }

  @Test func theConversationsOwnCredentialsAreKnown() throws {
    func options(_ url: String) throws -> RedisOptions {
      var settings = Settings(defaultsOf: RedisOptions.description.schema)
      settings["url"] = .string(url)
      return try RedisOptions(settings)
    }
    let talk = try options("redis://ada@host:6379")
    for (url, shares) in [
      ("redis://host:6379/1", false), ("redis://auth@host:6379/1", false), ("redis://auth@host/0", true),
      ("redis://ada@host/1", true), ("redis://auth@host", true), ("redis://ada@elsewhere", false),
      ("redis://ada@host:6380", false),
    ] {
      #expect(try options(url).isReachable(with: talk) == shares, "\(url)")
    }
  }
}
