import ParleyConformance
import ParleyRuntime
import Synchronization
import Testing

@testable import ParleyCoordination

/// The approvals' topic written by hand, with a request that waits for an answer.
private struct Court {
  static let topic = Topic("approvals")
  static let secret = "a secret of some length"
  var judge: ApprovalJudge
  private var count = 0

  init(verifies: Bool, secret: String? = Court.secret, asks: Bool = true) {
    let rules = ApprovalRules(
      topic: Self.topic, approvers: [Handle("ann"), Handle("@boss:x")], secret: secret, lifetime: .seconds(60))
    judge = ApprovalJudge(rules: rules, verifies: verifies)
    if asks { ask() }
  }

  mutating func ask(_ code: String = "abcde", instance: String = "agent", at storedAt: Int64 = 0) {
    let message = request(code, instance: instance, at: storedAt)
    judge.ask(code, message: message.id, storedAt: storedAt)
    _ = judge.take(message)
  }

  /// A request of a session; only `ask` makes it one of this judge's own.
  mutating func request(_ code: String = "abcde", instance: String = "agent", at storedAt: Int64 = 0) -> Message {
    let asked = PermissionRequest(code: code, tool: "Bash", purpose: "list", preview: "ls")
    let text = asked.map { ApprovalEvent.request($0, from: Handle("coder"), on: "host", lifetime: 60_000) }
    return message(
      text?.content ?? "", by: "coder", attributes: text?.attributes ?? [:], account: "@agents:x", instance: instance,
      at: storedAt)
  }

  var lastID: MessageID { MessageID("m\(count)") }

  mutating func message(
    _ content: String, by handle: String, attributes: Attributes = [:], account: String? = nil,
    provenance: Provenance = .claimed, instance: String? = nil, replyTo: String? = nil, at storedAt: Int64 = 10,
    late: Bool = false
  ) -> Message {
    count += 1
    return Message(
      topic: Self.topic, sender: Handle(handle), account: account, provenance: provenance, instance: instance,
      content: content, timestamp: "", storedAt: storedAt, id: lastID, cursor: Cursor("\(count)"),
      inReplyTo: replyTo.map { MessageID($0) }, attributes: attributes, isLate: late)
  }

  /// What a person in a chat client says.
  mutating func hear(
    _ content: String, by handle: String = "ann", account: String? = "@ann:x", provenance: Provenance = .verified,
    instance: String? = nil, kind: String? = nil, replyTo: String? = nil, at storedAt: Int64 = 10, late: Bool = false
  ) -> Approval? {
    judge.take(
      message(
        content, by: handle, attributes: kind.map { ["kind": $0] } ?? [:], account: account, provenance: provenance,
        instance: instance, replyTo: replyTo, at: storedAt, late: late))?.approval
  }

  /// What a console says.
  mutating func prove(
    _ content: String = "yes abcde", by handle: String = "ann", over approval: Approval = .allow,
    code: String = "abcde", request: String = "m1", topic: Topic = Court.topic, key: String = Court.secret,
    claimedBy: String? = nil, at storedAt: Int64 = 10
  ) -> Approval? {
    let proof = HMACSHA256.hexadecimal(
      of: ApprovalEvent.proofText(
        approval, code: code, request: MessageID(request), topic: topic, by: Handle(claimedBy ?? handle)), key: key)
    return judge.take(
      message(
        content, by: handle, attributes: ["kind": "approval.verdict", "mac": proof], instance: "console", replyTo: "m1",
        at: storedAt))?.approval
  }
}

@Suite struct ApprovalJudgeTests {
  @Test func aReactionToTheRequestIsAVerdict() {
    func verdict(
      _ sign: String, by handle: String = "ann", account: String = "@ann:x", replyTo: String? = "m1",
      instance: String? = nil
    ) -> Approval? {
      var court = Court(verifies: true)
      return court.hear(
        sign, by: handle, account: account, instance: instance, kind: "reaction", replyTo: replyTo)
    }
    for sign in ["👍", "👍🏽", "✅", "✔️"] { #expect(verdict(sign) == .allow, "\(sign)") }
    for sign in ["👎", "👎🏿", "❌", "🚫"] { #expect(verdict(sign) == .deny, "\(sign)") }
    // Another sign, a word, nothing it is about, another message, another's hand, a program's.
    for sign in ["🎉", "👍👎", "yes", "yes abcde", ""] { #expect(verdict(sign) == nil, "\(sign)") }
    #expect(verdict("👍", replyTo: nil) == nil && verdict("👍", replyTo: "m9") == nil)
    #expect(verdict("👍", by: "eve", account: "@eve:x") == nil)
    #expect(verdict("👍", instance: "a program's") == nil && verdict("👍", account: "@agents:x") == nil)
    // A sign that is written as a message is none.
    var court = Court(verifies: true)
    #expect(court.hear("👍", replyTo: "m1") == nil)
    var other = Court(verifies: false)
    #expect(other.hear("👍", kind: "reaction", replyTo: "m1") == nil)
  }

  /// RFC 4231, test cases 1 (key and data as text), 2 and 6.
  @Test func theCodeIsThatOfTheStandard() {
    #expect(
      HMACSHA256.hexadecimal(of: "what do ya want for nothing?", key: "Jefe")
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(
      HMACSHA256.hexadecimal(of: "Hi There", key: String(repeating: "\u{0b}", count: 20))
        == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    #expect(HMACSHA256.areEqual("abc", "abc") && !HMACSHA256.areEqual("abc", "abd") && !HMACSHA256.areEqual("a", ""))
  }

  @Test func onlyAPlainVerdictIsOne() {
    for text in ["yes abcde", " Y  ABCDE \n", "y abcde", "YES abcde"] {
      #expect(ApprovalEvent.verdict(in: text)?.approval == .allow && ApprovalEvent.verdict(in: text)?.code == "abcde")
    }
    #expect(ApprovalEvent.verdict(in: "no abcde")?.approval == .deny)
    #expect(ApprovalEvent.verdict(in: "n")?.code == nil)
    for text in [
      "", "abcde", "yes please do", "yes abcdl", "yes abcd", "yes abcdef", "yes abc1e", "ok abcde", "yesabcde",
      "> yes abcde", "yes abcde and more",
    ] {
      #expect(ApprovalEvent.verdict(in: text)?.code == nil && ApprovalEvent.verdict(in: text) == nil, "\(text)")
    }
  }

  @Test func aVerifiedApproverDecidesOnce() {
    var court = Court(verifies: true)
    #expect(court.hear("yes abcde") == .allow)
    #expect(court.hear("no abcde") == nil)
    var other = Court(verifies: true)
    #expect(other.hear("no abcde", by: "someone", account: "@boss:x", provenance: .claimed) == .deny)
    var reply = Court(verifies: true)
    #expect(reply.hear("yes", replyTo: "m1") == .allow)
  }

  @Test func whoIsNotVerifiedOrListedDecidesNothing() {
    var court = Court(verifies: true)
    #expect(court.hear("yes abcde", provenance: .claimed) == nil)
    #expect(court.hear("yes abcde", account: nil, provenance: .claimed) == nil)
    #expect(court.hear("yes abcde", by: "eve", account: "@eve:x") == nil)
    // The secret does not replace an account where there are accounts.
    #expect(court.prove() == nil)
    #expect(court.hear("yes abcde") == .allow)
  }

  @Test func noProcessOfParleyApproves() {
    var court = Court(verifies: true)
    #expect(court.hear("yes abcde", instance: "some-process") == nil)
    // From now on the account is one that a process posts with.
    #expect(court.hear("yes abcde") == nil)
    var shared = Court(verifies: true)
    #expect(shared.hear("yes abcde", by: "ann", account: "@agents:x") == nil)
    #expect(shared.hear("yes abcde", kind: "note") == nil)
  }

  @Test func aVerdictStandsAfterItsRequestAndInItsTime() {
    var early = Court(verifies: true, asks: false)
    #expect(early.hear("yes abcde") == nil)
    let request = early.request()
    early.judge.ask("abcde", message: request.id, storedAt: 0)
    // Stored, but not yet met in the log.
    #expect(early.hear("yes abcde") == nil)
    _ = early.judge.take(request)
    #expect(early.hear("yes abcde", at: 59_999) == .allow)
    var late = Court(verifies: true)
    #expect(late.hear("yes abcde", at: 60_000) == nil)
    #expect(late.hear("yes abcde", late: true) == nil)
    #expect(late.hear("yes abcde") == .allow)
    var closed = Court(verifies: true)
    #expect(closed.judge.close("abcde", MessageID("m1")) != nil)
    #expect(closed.judge.close("abcde", MessageID("m1")) == nil)
    #expect(closed.hear("yes abcde") == nil)
  }

  @Test func aCodeThatTwoAskUnderNeedsAReply() {
    var court = Court(verifies: true)
    _ = court.judge.take(court.request(instance: "another"))
    #expect(court.hear("yes abcde") == nil)
    #expect(court.hear("yes abcde", replyTo: "m2") == nil)
    #expect(court.hear("yes bcdea", replyTo: "m1") == nil)
    #expect(court.hear("yes abcde", replyTo: "m1") == .allow)
  }

  @Test func aNewRequestUnderACodeIsNotAnsweredForTheOld() {
    var court = Court(verifies: false)
    court.ask(at: 5)
    #expect(court.prove(request: "m1") == nil)
  }

  @Test func whereNobodyIsVerifiedTheSecretProves() {
    var court = Court(verifies: false)
    #expect(court.hear("yes abcde") == nil)
    #expect(court.prove(by: "eve") == nil)
    #expect(court.prove(by: "ann", claimedBy: "eve") == nil)
    #expect(court.prove("yes abcde", over: .deny) == nil)
    #expect(court.prove(code: "bcdea") == nil)
    #expect(court.prove(request: "m0") == nil)
    #expect(court.prove(topic: Topic("general")) == nil)
    #expect(court.prove(key: "another secret of length") == nil)
    #expect(court.prove(at: 60_000) == nil)
    #expect(court.prove() == .allow)
    #expect(court.prove() == nil)
    var denied = Court(verifies: false)
    #expect(denied.prove("no abcde", over: .deny) == .deny)
    var open = Court(verifies: false, secret: nil)
    #expect(open.prove() == nil && open.hear("yes abcde") == nil)
  }

  @Test func obstaclesAreSaid() {
    func traits(_ verifies: Bool) -> BackendTraits {
      BackendTraits(
        name: "x", location: "", durability: .unknown, authenticatesSenders: verifies, keyWindow: .always)
    }
    let (bare, secret) = (
      ApprovalRules(topic: Court.topic, approvers: [Handle("ann")]),
      ApprovalRules(topic: Court.topic, approvers: [Handle("ann")], secret: Court.secret)
    )
    #expect(bare.obstacle(to: Handle("coder"), on: traits(false))?.contains("secret_file") == true)
    #expect(bare.obstacle(to: Handle("coder"), on: traits(true)) == nil)
    #expect(secret.obstacle(to: Handle("coder"), on: traits(false)) == nil)
    #expect(secret.obstacle(to: Handle("ann"), on: traits(false))?.contains("itself") == true)
  }
}

@Suite struct ApprovalsTests {
  private static let rules = ApprovalRules(
    topic: Topic("ops"), approvers: [Handle("ann")], secret: Court.secret, lifetime: .seconds(600))

  /// An agent's process that asks, and what it was told.
  private final class Asker: Sendable {
    let approvals: Approvals
    private let told = Mutex<[String]>([])
    var answers: [String] { told.withLock { $0 } }

    init(_ hub: Hub) async {
      approvals = Approvals(hub: hub, rules: ApprovalsTests.rules, host: "build\u{202e}-7")
      await approvals.onVerdict { [weak self] code, approval in
        self?.told.withLock { $0.append("\(code) \(approval.rawValue)") }
      }
    }

    func ask(_ code: String) async throws {
      let request = try #require(
        PermissionRequest(code: code, tool: "Bash", purpose: "Delete it", preview: "rm -rf /tmp/x"))
      await approvals.ask(request)
    }
  }

  @Test func aConsoleAllowsAndDenies() throws {
    try Crowd.play(["coder", "ann", "eve"]) { crowd in
      let asker = await Asker(crowd.hubs[0])
      let ann = ApprovalDesk(hub: crowd.hubs[1], rules: Self.rules)
      let eve = ApprovalDesk(hub: crowd.hubs[2], rules: Self.rules)
      try await asker.ask("abcde")
      try await asker.ask("fghij")
      let open = try await ann.open()
      #expect(open.map(\.code) == ["abcde", "fghij"])
      let text = try #require(open.first?.message.content)
      for part in ["coder on build⟦U+202E⟧-7", "Bash", "Delete it", "rm -rf /tmp/x", "yes abcde", "10 minutes"] {
        #expect(text.contains(part), "\(part)")
      }
      await #expect(throws: HubError.self) { try await eve.answer(.allow, to: "abcde") }
      await #expect(throws: HubError.self) { try await ann.answer(.allow, to: "zzzzz") }
      _ = try await ann.answer(.allow, to: "ABCDE")
      await crowd.settle()
      #expect(asker.answers == ["abcde allow"])
      await #expect(throws: HubError.self) { try await ann.answer(.deny, to: "abcde") }
      _ = try await ann.answer(.deny, to: "fghij")
      await crowd.settle()
      #expect(asker.answers == ["abcde allow", "fghij deny"])
      let lines = crowd.store.history(of: Topic("ops")).map(\.content)
      #expect(lines.contains("abcde allowed by ann") && lines.contains("fghij denied by ann"))
      #expect(try await ann.open().isEmpty)
    }
  }

  @Test func nobodyAnsweringIsNo() throws {
    try Crowd.play(["coder", "ann"]) { crowd in
      let asker = await Asker(crowd.hubs[0])
      try await asker.ask("abcde")
      await crowd.settle(599)
      #expect(asker.answers.isEmpty)
      await crowd.settle(3)
      #expect(asker.answers == ["abcde deny"])
      await #expect(throws: HubError.self) {
        try await ApprovalDesk(hub: crowd.hubs[1], rules: Self.rules).answer(.allow, to: "abcde")
      }
      await crowd.settle()
      #expect(asker.answers == ["abcde deny"])
      #expect(crowd.store.history(of: Topic("ops")).last?.content == "abcde denied since nobody answered in time")
    }
  }

  @Test func aPlainYesIsIgnoredWithoutAWord() throws {
    try Crowd.play(["coder", "ann"]) { crowd in
      let asker = await Asker(crowd.hubs[0])
      try await asker.ask("abcde")
      _ = try await crowd.hubs[1].post(PostRequest(topic: Topic("ops"), content: "yes abcde"))
      await crowd.settle(5)
      #expect(asker.answers.isEmpty)
      #expect(crowd.store.history(of: Topic("ops")).count == 2)
    }
  }
}
