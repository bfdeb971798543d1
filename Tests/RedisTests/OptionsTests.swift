import ParleyRuntime
import Testing

@testable import ParleyRedis

/// URLs, cursors and names of keys: what is read from text.
@Suite struct OptionsTests {
  @Test func urls() throws {
    let plain = try RedisURL("redis://localhost")
    #expect(plain.endpoint == .tcp(host: "localhost", port: 6379))
    #expect(!plain.isEncrypted && plain.username == nil && plain.password == nil && plain.database == nil)
    let full = try RedisURL("rediss://us%40er:p%3Aa%2Fss@[::1]:7000/5")
    #expect(full.endpoint == .tcp(host: "::1", port: 7000))
    #expect(full.isEncrypted && full.username == "us@er" && full.password == "p:a/ss" && full.database == 5)
    #expect(try RedisURL("redis://:only-password@h:1").username == nil)
    #expect(try RedisURL("redis://h/").database == nil)
    #expect(try RedisURL("redis://h?db=2").database == 2)
    let socket = try RedisURL("unix:///run/redis%20x.sock?db=3")
    #expect(socket.endpoint == .unix(path: "/run/redis x.sock") && socket.database == 3)
    for text in [
      "", "localhost", "http://h", "redis://", "redis://h:0", "redis://h:70000", "redis://h:x", "redis://h/x",
      "redis://h/-1", "redis://a%zz@h", "redis://[::1", "unix:relative", "redis://h?timeout=1",
    ] {
      #expect(throws: SeamError.self, "\(text)") { try RedisURL(text) }
    }
  }

  @Test func aURLsPasswordIsInNoMessage() throws {
    let options = try RedisOptions(url: "redis://user:geheim@host:1/2")
    #expect(options.location == "redis://host:1/2")
    do {
      _ = try RedisURL("redis://user:geheim@host:none")
      Issue.record("it was accepted")
    } catch {
      #expect(!error.description.contains("geheim"))
    }
  }

  @Test func settingsThatContradictEachOtherAreRefused() throws {
    let contradictions: [[String: SettingValue]] = [
      ["tls_ca_file": .string("/a")], ["url": .string("rediss://h"), "tls_key_file": .string("/a")],
      ["client_name": .string("two words")], ["key_prefix": .string("{}p")], ["url": .string("nonsense")],
      ["sentinels": .strings(["host:port"])],
    ]
    for values in contradictions {
      var settings = Settings(defaultsOf: RedisOptions.description.schema)
      for (name, value) in values { settings[name] = value }
      #expect(throws: SeamError.self, "\(values)") { try RedisOptions(settings) }
    }
    let defaults = try RedisOptions(Settings(defaultsOf: RedisOptions.description.schema))
    #expect(defaults.location == "redis://127.0.0.1:6379")
    #expect(defaults.keyPrefix == "parley:" && defaults.block == .seconds(2) && defaults.retentionDays == nil)
  }

  @Test func placesAreWrittenAsTheyAreRead() throws {
    let id = StreamID(milliseconds: 1_795_234_240_012, sequence: 7)
    for place: LogPlace in [
      .after(id), .before(id), .empty(last: .zero, added: 0, generation: 3), .empty(last: id, added: 12, generation: 1),
    ] { #expect(try LogPlace(place.cursor) == place) }
    #expect(try LogPlace(Cursor("5-1")) == .after(StreamID(milliseconds: 5, sequence: 1)))
    #expect(try LogPlace(Cursor("5")) == .after(StreamID(milliseconds: 5, sequence: 0)))
    #expect(try LogPlace(Cursor("0-0")) == .empty(last: .zero, added: 0, generation: nil))
    for text in [
      "$", "-", "+", "5-", "-5", "5-1-2", "5.1", "^", "^5-", "5-1+", "5-1+x", "5-1+-1", "18446744073709551616-0",
      "redis.x.5-1", "redis..5-1", " 5-1", "5-1 ", "0x5-1", "٥-1",
    ] {
      #expect(throws: SeamError.self, "\(text)") { try LogPlace(Cursor(text)) }
    }
  }

  @Test func companionsShareTheirStreamsSlot() {
    // The specification's own examples.
    #expect(RedisKeys.slot(of: "123456789") == 0x31c3)
    #expect(RedisKeys.slot(of: "{user1000}.following") == RedisKeys.slot(of: "{user1000}.followers"))
    #expect(RedisKeys.slot(of: "foo{}{bar}") != RedisKeys.slot(of: "bar"))
    for prefix in ["parley:", "{parley}:", "", "a{b", "a}b{", "x{"] {
      let keys = RedisKeys(prefix: prefix)
      for topic in ["general", "a b", "{tag}rest", "a{b}c", "a}b", "}{", "{}x", "{", "ü🦜", ""] {
        let stream = keys.stream(topic)
        for companion in [keys.generation(of: stream), keys.ledger(of: stream, digest: "d")] {
          #expect(RedisKeys.slot(of: companion) == RedisKeys.slot(of: stream), "\(companion)")
          #expect(companion.hasPrefix(prefix + "~"))
        }
      }
    }
  }

  @Test func timestampsAreJavaScripts() {
    #expect(Timestamp.text(1_795_234_240_012) == "2026-11-21T04:10:40.012Z")
    #expect(Timestamp.text(0) == "1970-01-01T00:00:00.000Z")
    #expect(Timestamp.text(951_782_399_999) == "2000-02-28T23:59:59.999Z")
  }
}
