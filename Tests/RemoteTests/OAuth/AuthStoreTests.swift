import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRemote

/// The records' file: kept, private, not to be tampered with, changed by one at a time.
@Suite struct AuthStoreTests {
  private static func token(_ id: String) -> TokenRecord {
    TokenRecord(id: id, name: "", scopes: .reading, handle: nil, created: 1, expires: nil)
  }

  @Test func whatIsKeptIsThereForTheNextProcess() throws {
    let folder = try TemporaryDirectory()
    let path = folder.path("deep/er/auth.store")
    let store = try FileAuthStore(path)
    #expect(store.state() == AuthState())
    try store.changeNow { $0.tokens["d"] = Self.token("1") }
    #expect(store.state().tokens["d"]?.id == "1")
    let other = try FileAuthStore(path)
    #expect(other.state() == store.state())
    // Sealed by one, opened by the other.
    #expect(other.key.open(store.key.seal("text", for: .consent), for: .consent) == "text")
    // A change by one is seen by the other at once.
    try other.changeNow { $0.tokens = [:] }
    #expect(store.state().tokens.isEmpty)
    for name in ["auth.store", "auth.store.key", "auth.store.lock"] {
      var status = stat()
      #expect(stat(folder.path("deep/er/\(name)"), &status) == 0 && status.st_mode & 0o777 == 0o600, "\(name)")
    }
  }

  /// However fast changes of the same size follow each other, none is missed.
  @Test func everyChangeIsSeen() throws {
    let folder = try TemporaryDirectory()
    let writer = try FileAuthStore(folder.path("auth.store"))
    let reader = try FileAuthStore(folder.path("auth.store"))
    for number in 0..<100 {
      try writer.changeNow { $0.tokens["d"] = Self.token("\(number % 10)") }
      #expect(reader.state().tokens["d"]?.id == "\(number % 10)")
    }
  }

  @Test func recordsOfOthersDoNotCount() throws {
    let folder = try TemporaryDirectory()
    let path = folder.path("auth.store")
    let store = try FileAuthStore(path)
    try store.changeNow {
      $0.tokens["d"] = Self.token("1")
      $0.tokens["e"] = Self.token("2")
    }
    let text = try #require(TextFile.read(path))
    try TextFile.write(text.replacing("parley:read", with: "parley:post", maxReplacements: 1), to: path)
    #expect(store.state().tokens.keys.sorted() == ["e"])
    // Of another server's key.
    let foreign = try FileAuthStore(folder.path("foreign.store"))
    try foreign.changeNow { $0.tokens["f"] = Self.token("3") }
    try TextFile.write(try #require(TextFile.read(folder.path("foreign.store"))), to: path)
    #expect(store.state().tokens.isEmpty)
    // Nothing is written over what this version cannot read.
    try TextFile.write("parley auth 2\n", to: path)
    #expect(store.state().tokens.isEmpty)
    #expect(throws: AuthStoreError.self) { try store.changeNow { $0.owner = "x" } }
    #expect(TextFile.read(path) == "parley auth 2\n")
  }

  @Test func onlyOneOfManyUsesACode() async throws {
    let folder = try TemporaryDirectory()
    let path = folder.path("auth.store")
    let first = try FileAuthStore(path)
    let lifetimes = AuthState.Lifetimes()
    let client = ClientRecord(id: "c", shortID: "c", name: "", kind: .pinned, created: 1, lastUse: 1)
    try first.changeNow {
      $0.consent(
        AuthState.Consent(
          client: client, scopes: .all, handle: Handle("ada"), resource: "r", redirectURI: "u", challenge: "h"),
        grant: "g", code: "code", now: 1, lifetimes)
    }
    let loop = try EventLoop(name: "stores")
    let outcomes = try loop.run { () async -> [Result<AuthState.Issued, AuthState.Refusal>] in
      var all: [Task<Result<AuthState.Issued, AuthState.Refusal>, Never>] = []
      for number in 0..<16 {
        // Each as a process of its own would.
        guard let store = try? FileAuthStore(path) else { continue }
        all.append(
          loop.spawn {
            let exchange = AuthState.Exchange(
              code: "code", client: "c", redirectURI: "u", challenge: "h", resource: nil, access: "a\(number)",
              refresh: "r\(number)")
            return (try? await store.change(on: loop) { $0.exchange(exchange, now: 2, lifetimes) })
              ?? .failure(.unknown)
          })
      }
      var found: [Result<AuthState.Issued, AuthState.Refusal>] = []
      for task in all { found.append(await task.value) }
      return found
    }
    #expect(outcomes.count == 16 && outcomes.count { if case .success = $0 { true } else { false } } == 1)
    // The others were replays: nothing that was given out counts.
    #expect(first.state().grants.isEmpty && first.state().access.isEmpty)
  }

  @Test func refreshTokensNameTheirGrant() {
    let key = ServerKey([UInt8](repeating: 7, count: 32))
    let token = key.makeRefresh(of: "abc123")
    #expect(token.hasPrefix("parley_rt_") && key.grant(ofRefresh: token) == "abc123")
    #expect(ServerKey([UInt8](repeating: 8, count: 32)).grant(ofRefresh: token) == nil)
    for broken in ["", "parley_rt_", token + "A", token.replacing("abc123", with: "abc124"), String(token.dropLast())] {
      #expect(key.grant(ofRefresh: broken) == nil, "\(broken)")
    }
  }

  @Test func sealsOpenForTheirPurposeAlone() throws {
    let key = ServerKey([UInt8](repeating: 7, count: 32))
    let sealed = key.seal("a text", for: .registration)
    #expect(key.open(sealed, for: .registration) == "a text")
    #expect(key.open(sealed, for: .consent) == nil)
    #expect(ServerKey([UInt8](repeating: 8, count: 32)).open(sealed, for: .registration) == nil)
    for broken in ["", ".", sealed + "A", String(sealed.dropLast()), "A" + sealed, sealed + ".x"] {
      #expect(key.open(broken, for: .registration) == nil, "\(broken)")
    }
  }
}
