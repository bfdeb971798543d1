import Testing

@testable import ParleyRuntime

/// SRV records as name servers send them.
@Suite struct ServiceRecordTests {
  /// One question, and two records whose names are compressed.
  private static let message: [UInt8] =
    [0, 1, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]
    + [12] + Array("_xmpp-client".utf8) + [4] + Array("_tcp".utf8) + [1] + Array("x".utf8) + [0, 0, 33, 0, 1]
    + [0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 10, 0, 20, 0, 5, 0x14, 0x66, 1] + Array("b".utf8) + [0xc0, 30]
    + [0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 10, 0, 10, 0, 0, 0x14, 0x66, 1] + Array("a".utf8) + [0xc0, 30]

  @Test func areRead() {
    let records = ServiceRecords.parse(Self.message)
    #expect(records.map(\.host) == ["b.x", "a.x"])
    #expect(records[0] == ServiceRecord(priority: 20, weight: 5, port: 5222, host: "b.x"))
    #expect(ServiceRecords.order(records) { 0 }.map { records[$0].host } == ["a.x", "b.x"])
  }

  @Test func damageIsNoRecord() {
    for length in 0..<Self.message.count { _ = ServiceRecords.parse(Array(Self.message[..<length])) }
    for place in Self.message.indices {
      for value: UInt8 in [0, 1, 0x3f, 0x40, 0xc0, 0xff] {
        var message = Self.message
        message[place] = value
        _ = ServiceRecords.parse(message)
      }
    }
    // A name that points at itself.
    #expect(ServiceRecords.parse([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 33, 0, 1]).isEmpty)
  }

  @Test func equalPrioritiesAreDrawnByWeight() {
    let records = [0, 10, 90].map { ServiceRecord(priority: 1, weight: $0, port: 1, host: "\($0)") }
    #expect(ServiceRecords.order(records) { 0 }.first.map { records[$0].host } == "0")
    #expect(ServiceRecords.order(records) { 50 }.first.map { records[$0].host } == "90")
    #expect(ServiceRecords.order(records) { 7 }.map { records[$0].host }.sorted() == ["0", "10", "90"])
  }
}
