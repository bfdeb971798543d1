import ParleyRuntime
import Testing

/// Addresses, ranges, and where a server may be told to listen.
@Suite struct AddressTests {
  @Test func addressesAreReadAndWritten() {
    #expect(IPAddress("127.0.0.1")?.description == "127.0.0.1")
    #expect(IPAddress("2001:DB8::1")?.description == "2001:db8::1")
    #expect(IPAddress("::ffff:10.0.0.1") == IPAddress("10.0.0.1"))
    for text in ["", "localhost", "1.2.3", "1.2.3.4.5", "01.2.3.4x", "[::1]", "::1%lo", "0x7f.1"] {
      #expect(IPAddress(text) == nil, "\(text)")
    }
    #expect(IPAddress("127.255.0.1")?.isLoopback == true && IPAddress("::1")?.isLoopback == true)
    #expect(IPAddress("128.0.0.1")?.isLoopback == false && IPAddress("::2")?.isLoopback == false)
  }

  @Test func rangesContain() throws {
    func contains(_ range: String, _ address: String) throws -> Bool {
      try #require(AddressRange(range)).contains(try #require(IPAddress(address)))
    }
    #expect(try contains("160.79.104.0/21", "160.79.111.255") && !contains("160.79.104.0/21", "160.79.112.0"))
    #expect(try contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "2001:db8::1"))
    #expect(try contains("fd00::/8", "fdff::1") && !contains("fd00::/8", "fe80::1"))
    #expect(try contains("10.0.0.1", "10.0.0.1") && !contains("10.0.0.1", "10.0.0.2"))
    #expect(try contains("::/0", "10.0.0.1"))
    for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "a/8", "10.0.0.0/8/8", "::/129", "/8"] {
      #expect(AddressRange(text) == nil, "\(text)")
    }
  }

  @Test func publicAddressesAreTold() throws {
    for text in ["8.8.8.8", "160.79.104.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00:1450::1"] {
      #expect(try #require(IPAddress(text)).isPublic, "\(text)")
    }
    for text in [
      "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
      "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
      "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a00:1",
      "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "fc00::1", "fd12::1", "fe80::1", "ff02::1", "fec0::1",
    ] { #expect(!(try #require(IPAddress(text)).isPublic), "\(text)") }
  }

  @Test func listeningPlaces() {
    #expect(Endpoint(listening: "127.0.0.1:8808") == .tcp(host: "127.0.0.1", port: 8808))
    #expect(Endpoint(listening: "[::1]:0") == .tcp(host: "::1", port: 0))
    #expect(Endpoint(listening: "unix:/run/x.sock") == .unix(path: "/run/x.sock"))
    #expect(Endpoint(listening: "0.0.0.0:80")?.isLocal == false && Endpoint(listening: "[::]:80")?.isLocal == false)
    #expect(Endpoint(listening: "127.9.9.9:80")?.isLocal == true && Endpoint(listening: "unix:/x")?.isLocal == true)
    for text in ["8808", "localhost:80", "127.0.0.1", "::1:80", "[::1]", "127.0.0.1:70000", "127.0.0.1:+80", "unix:x"] {
      #expect(Endpoint(listening: text) == nil, "\(text)")
    }
  }
}
