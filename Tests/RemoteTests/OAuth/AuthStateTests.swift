import ParleyRuntime
import Testing

@testable import ParleyRemote

/// What counts, once, how long and for whom: the state machine, without a clock, a file or a socket.
@Suite struct AuthStateTests {
  static let resource = "https://parley.example.org/mcp"
  static let redirect = "https://claude.ai/api/mcp/auth_callback"
  private let lifetimes = AuthState.Lifetimes()
  private let start: WallTime = 1_000_000_000

  /// A state with one consent, whose code is "code", of the client "c".
  private func consented(_ scopes: Scopes = .all) -> AuthState {
    var state = AuthState()
    let client = ClientRecord(
      id: "c", shortID: "c", name: "Claude", kind: .pinned, created: start, lastUse: start)
    state.consent(
      AuthState.Consent(
        client: client, scopes: scopes, handle: Handle("ada"), resource: Self.resource, redirectURI: Self.redirect,
        challenge: "challenge"),
      grant: "g", code: "code", now: start, lifetimes)
    return state
  }

  private func exchange(
    _ code: String = "code", client: String = "c", redirect: String = redirect, challenge: String = "challenge",
    resource: String? = resource, number: Int = 1
  ) -> AuthState.Exchange {
    AuthState.Exchange(
      code: code, client: client, redirectURI: redirect, challenge: challenge, resource: resource,
      access: "a\(number)", refresh: "r\(number)")
  }

  private func rotation(
    _ token: String, to number: Int, client: String = "c", scopes: Scopes? = nil, resource: String? = nil,
    named: String? = nil
  ) -> AuthState.Rotation {
    AuthState.Rotation(
      token: token, named: named, client: client, scopes: scopes, resource: resource, access: "a\(number)",
      refresh: "r\(number)")
  }

  @Test func aCodeGivesTokensThatEnd() throws {
    var state = consented()
    let issued = try state.exchange(exchange(), now: start + 59_999, lifetimes).get()
    #expect(issued.scopes == .all && issued.lifetime == 3_600 && issued.grant.handle == Handle("ada"))
    let given = start + 59_999
    #expect(state.grant(ofAccess: "a1", now: given + 3_599_999)?.grant.id == "g")
    #expect(state.grant(ofAccess: "a1", now: given + 3_600_000) == nil)
    #expect(state.grant(ofAccess: "r1", now: given) == nil && state.grant(ofAccess: "code", now: given) == nil)
  }

  @Test func aCodeEnds() {
    var state = consented()
    #expect(state.exchange(exchange(), now: start + 60_000, lifetimes) == .failure(.unknown))
    #expect(state.grants.isEmpty)
  }

  @Test func aCodeCountsOnceAndItsSecondUseTakesEverythingBack() throws {
    var state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    #expect(state.exchange(exchange(number: 2), now: start + 1, lifetimes) == .failure(.reused(grant: "g")))
    #expect(state.grants.isEmpty && state.access.isEmpty && state.refresh.isEmpty)
    // Also long after the code itself has ended.
    state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    #expect(state.exchange(exchange(number: 2), now: start + 600_000, lifetimes) == .failure(.reused(grant: "g")))
    #expect(state.grant(ofAccess: "a1", now: start + 600_000) == nil)
  }

  @Test func aCodeThatIsPresentedWronglyIsUsedUp() {
    for (wrong, refusal) in [
      (exchange(client: "d"), AuthState.Refusal.mismatch), (exchange(redirect: Self.redirect + "/"), .mismatch),
      (exchange(challenge: "other"), .mismatch), (exchange(resource: "https://evil.example/mcp"), .target),
    ] {
      var state = consented()
      #expect(state.exchange(wrong, now: start, lifetimes) == .failure(refusal))
      #expect(state.exchange(exchange(), now: start, lifetimes) == .failure(.reused(grant: "g")))
      #expect(state.grants.isEmpty && state.access.isEmpty)
    }
    var state = consented()
    #expect(state.exchange(exchange("other"), now: start, lifetimes) == .failure(.unknown))
    #expect(state.exchange(exchange(resource: nil), now: start, lifetimes).isSuccess)
  }

  @Test func refreshTokensRotate() throws {
    var state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    var time = start
    for number in 2...50 {
      time += 3_000_000
      _ = try state.rotate(rotation("r\(number - 1)", to: number), now: time, lifetimes).get()
      #expect(state.grant(ofAccess: "a\(number)", now: time) != nil)
    }
    // Nothing grows: old access tokens end, and what was replaced long ago is forgotten.
    #expect(state.access.count <= AuthState.accessPerGrant && state.grants.count == 1 && state.refresh.count <= 2)
    // One of those names its grant: whoever has it had stolen it, or was robbed.
    var other = state
    #expect(other.rotate(rotation("r1", to: 99), now: time, lifetimes) == .failure(.unknown))
    #expect(other.rotate(rotation("r1", to: 99, client: "d", named: "g"), now: time, lifetimes) == .failure(.unknown))
    #expect(other.grants.count == 1)
    #expect(
      other.rotate(rotation("r1", to: 99, named: "g"), now: time, lifetimes) == .failure(.reused(grant: "g")))
    #expect(other.grants.isEmpty && other.access.isEmpty)
  }

  @Test func aRefreshTokenEndsWhenItIsNotUsed() throws {
    var state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    let late = start + lifetimes.refresh
    #expect(state.rotate(rotation("r1", to: 2), now: late, lifetimes) == .failure(.unknown))
    #expect(state.grants.isEmpty)
  }

  @Test func theGraceServesALostAnswerButNotAThief() throws {
    var state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    _ = try state.rotate(rotation("r1", to: 2), now: start + 10, lifetimes).get()
    // The answer was lost: the client asks again.
    _ = try state.rotate(rotation("r1", to: 3), now: start + 30_010, lifetimes).get()
    _ = try state.rotate(rotation("r3", to: 4), now: start + 40_000, lifetimes).get()
    // r2 went to nobody, or to a thief: once r3 was used it counts as replaced.
    #expect(state.rotate(rotation("r2", to: 5), now: start + 70_001, lifetimes) == .failure(.reused(grant: "g")))
    #expect(state.grant(ofAccess: "a4", now: start + 70_001) == nil && state.grants.isEmpty)
  }

  @Test func reuseAfterTheGraceTakesEverythingBack() throws {
    var state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    _ = try state.rotate(rotation("r1", to: 2), now: start, lifetimes).get()
    #expect(state.rotate(rotation("r1", to: 3), now: start + 30_001, lifetimes) == .failure(.reused(grant: "g")))
    #expect(state.rotate(rotation("r2", to: 4), now: start + 30_002, lifetimes) == .failure(.unknown))
  }

  @Test func reuseWithinTheGraceAfterTheSuccessorWasUsedTakesEverythingBack() throws {
    var state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    _ = try state.rotate(rotation("r1", to: 2), now: start, lifetimes).get()
    _ = try state.rotate(rotation("r2", to: 3), now: start + 1, lifetimes).get()
    #expect(state.rotate(rotation("r1", to: 4), now: start + 2, lifetimes) == .failure(.reused(grant: "g")))
    #expect(state.refresh.isEmpty)
  }

  @Test func theGraceGivesOnlySoMany() throws {
    var state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    for number in 2...(AuthState.siblings + 1) {
      _ = try state.rotate(rotation("r1", to: number), now: start + 1, lifetimes).get()
    }
    #expect(state.rotate(rotation("r1", to: 99), now: start + 1, lifetimes) == .failure(.reused(grant: "g")))
  }

  @Test func aRefreshTokenIsItsClientsAndGivesNoMoreThanWasGranted() throws {
    var state = consented(.reading)
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    #expect(state.rotate(rotation("r1", to: 2, client: "d"), now: start, lifetimes) == .failure(.mismatch))
    #expect(state.rotate(rotation("r1", to: 2, scopes: .all), now: start, lifetimes) == .failure(.scope))
    #expect(state.rotate(rotation("r1", to: 2, resource: "x"), now: start, lifetimes) == .failure(.target))
    // None of these used it up.
    #expect(state.rotate(rotation("r1", to: 2, scopes: .reading), now: start, lifetimes).isSuccess)
  }

  @Test func whatIsTakenBackNoLongerCounts() throws {
    var state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    #expect(state.revoke(token: "a1", client: "d") == nil && state.revoke(token: "x", client: "c") == nil)
    #expect(state.revoke(token: "a1", client: "c") == "g")
    #expect(state.grant(ofAccess: "a1", now: start) == nil && state.grants["g"] != nil)
    #expect(state.revoke(token: "r1", client: "d") == nil)
    #expect(state.revoke(token: "r1", client: "c") == "g")
    #expect(state.grants.isEmpty)
    #expect(state.rotate(rotation("r1", to: 2), now: start, lifetimes) == .failure(.unknown))
  }

  @Test func aRevokedClientLosesEverything() throws {
    var state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    state.revoke(client: "c", now: start, lifetimes)
    #expect(state.grants.isEmpty && state.access.isEmpty && state.clients.isEmpty)
    // A registration could be presented again until it ends: the revocation is remembered so long.
    state = consented()
    state.clients["c"]?.kind = .registered
    state.revoke(client: "c", now: start, lifetimes)
    #expect(state.clients["c"]?.revokedUntil == start + lifetimes.registration)
    state.sweep(now: start + lifetimes.registration, lifetimes)
    #expect(state.clients.isEmpty)
  }

  @Test func tokensOfTheOwnerEnd() {
    var state = AuthState()
    state.tokens["d"] = TokenRecord(
      id: "1", name: "", scopes: .reading, handle: nil, created: start, expires: start + 1_000)
    #expect(state.token("d", now: start + 999)?.id == "1" && state.holders(now: start) == ["1"])
    #expect(state.token("d", now: start + 1_000) == nil && state.holders(now: start + 1_000).isEmpty)
    state.sweep(now: start + 1_000, lifetimes)
    #expect(state.tokens.isEmpty)
  }

  @Test func everyRecordComesBackFromItsText() throws {
    var state = consented()
    _ = try state.exchange(exchange(), now: start, lifetimes).get()
    _ = try state.rotate(rotation("r1", to: 2, scopes: .reading), now: start, lifetimes).get()
    state.owner = "scrypt$…"
    state.tokens["d"] = TokenRecord(
      id: "1", name: "ci \"x\"\n", scopes: .reading, handle: Handle("bot"), created: start, expires: nil)
    state.clients["x"] = ClientRecord(
      id: "x", shortID: "s", name: "n", kind: .registered, created: 1, lastUse: 2, revokedUntil: 3)
    var again = AuthState()
    for record in state.records {
      #expect(!record.text.contains("\n"))
      let isTaken = again.take(try #require(StoredRecord(Array(record.text.utf8))))
      #expect(isTaken)
    }
    #expect(again == state)
  }

  @Test func scopesCoverThoseBefore() {
    #expect(Scopes("parley:post")?.text == "parley:read parley:post")
    #expect(Scopes("parley:read offline_access")?.text == "parley:read")
    for text in ["", "offline_access", "parley:write", "parley:read admin", "PARLEY:READ"] {
      #expect(Scopes(text) == nil, "\(text)")
    }
    #expect(Scopes.usual.covers(.read) && !Scopes.reading.covers(.post) && !Scopes.usual.covers(.admin))
    // Whoever sees the figures takes no part by that.
    #expect(Scopes("parley:admin").map { $0.covers(.admin) && !$0.covers(.read) && !$0.covers(.post) } == true)
    #expect(Scopes.all.covers(.usual) && !Scopes.usual.covers(.all))
    #expect(Scopes.reading.intersection(.all) == .reading)
  }
}

extension Result {
  fileprivate var isSuccess: Bool { if case .success = self { true } else { false } }
}
