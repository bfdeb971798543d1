import ParleyRuntime
import ParleyTLS
import Testing

@testable import ParleyXMPP

/// SASL by the RFCs' own examples, and the choices on the way to a session.
@Suite struct NegotiationTests {
  @Test func scramSHA1() throws {
    var scram = Scram(
      .sha1, username: "user", password: "pencil", nonce: "fyko+d2lbbFgONRv9qkxdawL", binding: .absent)
    #expect(scram.first == "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL")
    let proof = try scram.proof(for: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096")
    #expect(proof == "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")
    try scram.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
    #expect(throws: SeamError.self) { try scram.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKU=") }
    #expect(throws: SeamError.self) { try scram.verify("e=invalid-proof") }
    #expect(throws: SeamError.self) { try scram.verify("") }
  }

  @Test func scramSHA256() throws {
    var scram = Scram(.sha256, username: "user", password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO", binding: .absent)
    let proof = try scram.proof(
      for: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    #expect(
      proof
        == "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    try scram.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
  }

  @Test func scramBindsItsChannel() throws {
    var scram = Scram(.sha256, username: "a=b,c", password: "p", nonce: "n", binding: .exporter([1, 2, 3]))
    #expect(scram.first == "p=tls-exporter,,n=a=3Db=2Cc,r=n")
    let proof = try scram.proof(for: "r=nx,s=QSXCR+Q6sek8bf92,i=4096")
    #expect(proof.hasPrefix("c=\(Base64.encode(Array("p=tls-exporter,,".utf8) + [1, 2, 3])),r=nx,p="))
    #expect(Scram(.sha256, username: "u", password: "p", nonce: "n", binding: .possible).first == "y,,n=u,r=n")
  }

  @Test(arguments: [
    "r=other,s=QSXCR+Q6sek8bf92,i=4096", "r=n,s=QSXCR+Q6sek8bf92,i=4096", "r=nx,i=4096", "r=nx,s=QSXCR+Q6sek8bf92,i=1",
    "r=nx,s=QSXCR+Q6sek8bf92,i=99999999999", "m=x,r=nx,s=QSXCR+Q6sek8bf92,i=4096", "", "nonsense", "r=nx,s=!,i=4096",
  ]) func scramRefuses(_ serverFirst: String) {
    #expect(throws: SeamError.self) {
      var scram = Scram(.sha256, username: "u", password: "p", nonce: "n", binding: .absent)
      _ = try scram.proof(for: serverFirst)
    }
  }

  @Test func choosesTheStrongest() {
    let all = Mechanism.allCases
    let names = all.map(\.rawValue)
    func choose(_ wanted: [Mechanism], _ offered: [String], _ bindings: [String], _ hasExporter: Bool = true)
      -> Mechanism?
    {
      Mechanism.choose(wanted: wanted, offered: offered, bindings: bindings, hasExporter: hasExporter)
    }
    #expect(choose(all, names, ["tls-exporter"]) == .scramSHA256Plus)
    #expect(choose(all, names, []) == .scramSHA256)
    #expect(choose(all, names, ["tls-server-end-point"]) == .scramSHA256)
    #expect(choose(all, names, ["tls-exporter"], false) == .scramSHA256)
    #expect(choose([.scramSHA1], names, []) == .scramSHA1)
    #expect(choose(all, ["PLAIN", "X"], []) == .plain)
    #expect(choose([.scramSHA256], ["PLAIN"], []) == nil)
  }

  @Test func base64() {
    for count in 0..<20 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 77) }
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }
    for text in ["a", "ab", "abc", "=", "a===", "ab=c", "äb=="] { #expect(Base64.decode(text) == nil, "\(text)") }
  }

  @Test func serviceRecordsOfBothKindsCountTogether() {
    func record(_ priority: Int, _ host: String) -> ServiceRecord {
      ServiceRecord(priority: priority, weight: 0, port: 1, host: host)
    }
    func merge(_ clear: [ServiceRecord], _ direct: [ServiceRecord]) -> [XMPPOptions.Service] {
      Negotiation.merge(clear: clear, direct: direct, domain: "x") { 0 }
    }
    let merged = merge([record(5, "a"), record(20, "b")], [record(5, "c"), record(10, "d")])
    #expect(merged.map(\.host) == ["c", "a", "d", "b"] && merged.map(\.isDirect) == [true, false, true, false])
    #expect(merge([], []) == [XMPPOptions.Service(host: "x", port: 5222, isDirect: false)])
    #expect(merge([record(0, "")], []).isEmpty, "decidedly not offered")
    #expect(merge([record(0, "")], [record(1, "d")]).map(\.host) == ["d"])
    #expect(merge([], [record(0, "")]).map(\.host) == ["x"], "no direct TLS says nothing about STARTTLS")
    // Weights count across both kinds.
    let weighted = Negotiation.merge(
      clear: [ServiceRecord(priority: 1, weight: 90, port: 1, host: "clear")],
      direct: [ServiceRecord(priority: 1, weight: 10, port: 1, host: "direct")], domain: "x"
    ) { 50 }
    #expect(weighted.map(\.host) == ["clear", "direct"])
  }

  @Test func streamCountsBeginAgainAfterTheLast() {
    var management = StreamManagement()
    for _ in 0..<5 { _ = management.count() }
    let results = [
      management.acknowledge(3), management.acknowledge(2), management.acknowledge(6), management.acknowledge(5),
    ]
    #expect(results == [true, false, false, true])
    #expect(StreamManagement.covers(1, UInt32.max) && !StreamManagement.covers(UInt32.max, 1))
    _ = management.count()
    let isResumed = management.resumed(5)
    #expect(isResumed && management.sent == 5)
  }

  @Test func readsSettings() throws {
    var settings = Settings(defaultsOf: XMPPOptions.description.schema)
    #expect(try XMPPOptions(settings).mucServiceName == "muc.parley.local")
    settings["accounts"] = .strings(["olga=olga@example.org"])
    settings["service"] = .string("xmpps://[::1]:5223")
    let options = try XMPPOptions(settings)
    #expect(options.accounts[Handle("olga")]?.description == "olga@example.org")
    #expect(options.service == XMPPOptions.Service(host: "::1", port: 5223, isDirect: true))
    let wrong: [(String, SettingValue)] = [
      ("service", .string("http://x")), ("service", .string("xmpp://x:0")), ("mechanisms", .strings(["X"])),
      ("accounts", .strings(["olga"])), ("domain", .string("a b")), ("username", .string("a@b")),
      ("invite", .strings(["olga"])),
    ]
    for (key, value) in wrong {
      var settings = settings
      settings[key] = value
      #expect(throws: SeamError.self, "\(key): \(value)") { try XMPPOptions(settings) }
    }
  }
}
