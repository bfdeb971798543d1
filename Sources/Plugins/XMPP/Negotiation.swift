import ParleyRuntime
import ParleyTLS

/// The way from an address to a bound, or resumed, session: TCP, TLS, SASL, resumption or resource (RFC 6120, XEP-0198,
/// XEP-0368).
struct Negotiation {
  let options: XMPPOptions
  let loop: EventLoop
  let context: TLSContext
  let deadline: LoopInstant
  /// The resource to ask for: the same as before, so that the server ends a session of ours that it still holds.
  let resource: String
  let resumable: ResumableStream?

  /// What came of it.
  struct Outcome {
    let channel: StreamChannel
    let jid: JID
    let management: StreamManagement?
    let isResumed: Bool
    let mechanism: Mechanism
    let largestStanza: Int?
  }

  func run(isolation: isolated (any Actor)? = #isolation) async throws(SeamError) -> Outcome {
    var failure: SeamError?
    for candidate in await candidates() {
      do throws(SeamError) {
        return try await connect(to: candidate)
      } catch {
        // Another host of the domain would answer the same.
        if [.unauthorized, .cancelled, .unsupported].contains(error.code) { throw error }
        failure = failure ?? error
      }
    }
    throw failure
      ?? SeamError(
        .unavailable, operation: "look up \(options.domain)", cause: "the domain says that it offers no XMPP to clients"
      )
  }

  // MARK: Where

  /// The hosts to try, in that order.
  func candidates(isolation: isolated (any Actor)? = #isolation) async -> [XMPPOptions.Service] {
    if let service = options.service { return [service] }
    let limit = loop.now.advanced(by: .seconds(5))
    let (loop, domain, server) = (loop, options.domain, options.nameServer)
    let clear = loop.spawn {
      await ServiceRecords.look(up: "_xmpp-client._tcp.\(domain)", at: server, loop: loop, until: limit)
    }
    let direct = await ServiceRecords.look(up: "_xmpps-client._tcp.\(domain)", at: server, loop: loop, until: limit)
    return Self.merge(clear: await clear.value, direct: direct, domain: domain) {
      Int(truncatingIfNeeded: loop.random() >> 33)
    }
  }

  /// XEP-0368: both sets of records count as one. Without any for STARTTLS it is the domain itself (RFC 6120, section
  /// 3.2.2), unless a record says that there is none (target `.`), or direct TLS is offered.
  static func merge(
    clear: [ServiceRecord], direct: [ServiceRecord], domain: String, random: () -> Int
  ) -> [XMPPOptions.Service] {
    let all = (direct.map { ($0, true) } + clear.map { ($0, false) }).filter { !$0.0.host.isEmpty }
    guard !all.isEmpty || !clear.isEmpty else {
      return [XMPPOptions.Service(host: domain, port: 5222, isDirect: false)]
    }
    return ServiceRecords.order(all.map(\.0), random: random).map {
      XMPPOptions.Service(host: all[$0].0.host, port: all[$0].0.port, isDirect: all[$0].1)
    }
  }

  // MARK: How

  private func connect(
    to service: XMPPOptions.Service, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> Outcome {
    let endpoint = Endpoint.tcp(host: service.host, port: service.port)
    let cipher = service.isDirect ? try context.client(serverName: options.tlsServerName) : nil
    let stream = try await ByteStream.connect(to: endpoint, loop: loop, until: deadline, cipher: cipher)
    let channel = StreamChannel(stream, isEncrypted: service.isDirect)
    do throws(SeamError) {
      return try await negotiate(channel)
    } catch {
      channel.close()
      throw error
    }
  }

  private func negotiate(
    _ channel: StreamChannel, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> Outcome {
    var features = try await open(channel)
    if !channel.isEncrypted {
      guard features.child("starttls", Namespace.tls) != nil else {
        throw SeamError(
          .unsupported, operation: "encrypt the connection",
          cause: "the server offers no TLS; passwords and messages are not sent in clear text")
      }
      channel.send(XMLElement("starttls", Namespace.tls))
      let answer = try await stanza(channel, "encrypt the connection")
      guard answer.isA("proceed", Namespace.tls) else {
        throw SeamError(.unavailable, operation: "encrypt the connection", cause: "the server refuses to begin TLS")
      }
      try await channel.encrypt(with: try context.client(serverName: options.tlsServerName), until: deadline)
      features = try await open(channel)
    }
    let mechanism = try await authenticate(channel, features)
    features = try await open(channel)
    let limit = features.child("limits", Namespace.streamLimits)?.child("max-bytes", Namespace.streamLimits)
    return try await bind(channel, features, mechanism, largestStanza: limit.flatMap { Int($0.text) })
  }

  /// Opens a stream and reads what the server offers.
  private func open(
    _ channel: StreamChannel, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> XMLElement {
    try channel.expectNothingUnread()
    channel.openStream(to: options.domain)
    guard case .opened(let header) = try await channel.next(until: deadline), header["version"] != nil else {
      throw SeamError(.unavailable, operation: "open a stream", cause: "the server does not speak XMPP 1.0")
    }
    let features = try await stanza(channel, "open a stream")
    guard features.isA("features", Namespace.streams) else {
      throw SeamError(.unavailable, operation: "open a stream", cause: "the server does not say what it offers")
    }
    return features
  }

  private func stanza(
    _ channel: StreamChannel, _ operation: String, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> XMLElement {
    switch try await channel.next(until: deadline) {
    case .stanza(let element):
      if element.isA("error", Namespace.streams) { throw SeamError(stream: element, operation: operation) }
      return element
    case .opened, .closed: throw SeamError(.unavailable, operation: operation, cause: "the server closed the stream")
    }
  }

  // MARK: Who

  private func authenticate(
    _ channel: StreamChannel, _ features: XMLElement, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> Mechanism {
    let offered = features.child("mechanisms", Namespace.sasl)?.all("mechanism", Namespace.sasl).map(\.text) ?? []
    let bindings =
      features.child("sasl-channel-binding", Namespace.channelBinding)?.children.compactMap { $0["type"] } ?? []
    let exporter = channel.channelBinding
    guard
      let mechanism = Mechanism.choose(
        wanted: options.mechanisms, offered: offered, bindings: bindings, hasExporter: exporter != nil)
    else {
      throw SeamError(
        .unsupported, operation: "authenticate",
        cause: "the server offers \(offered.isEmpty ? "nothing" : offered.joined(separator: ", ")); "
          + "wanted: \(options.mechanisms.map(\.rawValue).joined(separator: ", "))")
    }
    guard let digest = mechanism.digest else {
      let message = [0] + Array(options.username.utf8) + [0] + Array(options.password.utf8)
      try await finish(channel, mechanism, by: begin(mechanism, message)) { _ throws(SeamError) in }
      return mechanism
    }
    // XEP-0440, RFC 5802 section 6: `y` says that we could and the server did not offer. Where it offers a binding that
    // we have not, or one that configuration left out, that would be a lie, which servers take for an attack.
    let serverBinds = offered.contains { $0.hasSuffix("-PLUS") }
    let wantsBinding = options.mechanisms.contains { $0.bindsChannel }
    let binding: Scram.Binding =
      if mechanism.bindsChannel, let exporter {
        .exporter(exporter)
      } else {
        exporter != nil && wantsBinding && !serverBinds ? .possible : .absent
      }
    let nonce = Base64.encode([UInt8](random: 18))
    var scram = Scram(
      digest, username: options.username, password: options.password, nonce: nonce, binding: binding)
    channel.send(begin(mechanism, Array(scram.first.utf8)))
    let challenge = try await answer(channel, mechanism)
    guard challenge.name == "challenge" else {
      throw SeamError(.unauthorized, operation: "authenticate", cause: "the server skips the proof of the password")
    }
    let (proved, proof) = try await prove(scram, try text(challenge))
    scram = proved
    let response = XMLElement("response", Namespace.sasl, text: Base64.encode(Array(proof.utf8)))
    try await finish(channel, mechanism, by: response) { final throws(SeamError) in try scram.verify(final) }
    return mechanism
  }

  private func begin(_ mechanism: Mechanism, _ message: [UInt8]) -> XMLElement {
    XMLElement("auth", Namespace.sasl, ["mechanism": mechanism.rawValue], text: Base64.encode(message))
  }

  /// Thousands of rounds of hashing, on a thread of their own.
  private func prove(
    _ scram: Scram, _ challenge: String, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> (Scram, String) {
    let outcome: WaitOutcome<Result<(Scram, String), SeamError>>
    do throws(SystemError) {
      outcome = try await loop.offload(named: "password", until: deadline) {
        var scram = scram
        do throws(SeamError) {
          let proof = try scram.proof(for: challenge)
          return .success((scram, proof))
        } catch { return .failure(error) }
      }
    } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: "authenticate", cause: error.description)
    }
    switch outcome {
    case .value(let result): return try result.get()
    case .timedOut: throw SeamError(.unavailable, operation: "authenticate", cause: "hashing took too long")
    case .cancelled: throw SeamError(.cancelled, operation: "authenticate", cause: "the caller cancelled")
    }
  }

  /// Sends the last message and checks the server's word with it.
  private func finish(
    _ channel: StreamChannel, _ mechanism: Mechanism, by message: XMLElement,
    isolation: isolated (any Actor)? = #isolation, verify: (String) throws(SeamError) -> Void
  ) async throws(SeamError) {
    channel.send(message)
    var reply = try await answer(channel, mechanism)
    if reply.name == "challenge" {
      // Some servers send the signature as a challenge of its own.
      try verify(try text(reply))
      channel.send(XMLElement("response", Namespace.sasl))
      reply = try await answer(channel, mechanism)
      guard reply.name == "success" else {
        throw SeamError(.unauthorized, operation: "authenticate", cause: "the server does not come to an end")
      }
    } else {
      try verify(try text(reply))
    }
  }

  private func text(_ element: XMLElement) throws(SeamError) -> String {
    guard element.text != "=", let bytes = Base64.decode(element.text) else {
      guard element.text == "=" else {
        throw SeamError(.unauthorized, operation: "authenticate", cause: "the server's data is not base 64")
      }
      return ""
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func answer(
    _ channel: StreamChannel, _ mechanism: Mechanism, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> XMLElement {
    let element = try await stanza(channel, "authenticate")
    guard element.namespace == Namespace.sasl, ["challenge", "success"].contains(element.name) else {
      throw SeamError(sasl: element, mechanism: mechanism.rawValue, account: options.account)
    }
    return element
  }

  // MARK: Which session

  private func bind(
    _ channel: StreamChannel, _ features: XMLElement, _ mechanism: Mechanism, largestStanza: Int?,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> Outcome {
    let canManage = features.child("sm", Namespace.management) != nil
    if canManage, let resumable, resumable.isAlive(at: loop.now), let name = resumable.management.resumption {
      let resume = XMLElement(
        "resume", Namespace.management, ["previd": name, "h": String(resumable.management.received)])
      channel.send(resume)
      let answer = try await stanza(channel, "resume the stream")
      var management = resumable.management
      if answer.isA("resumed", Namespace.management), let count = answer["h"].flatMap({ UInt32($0) }),
        management.resumed(count)
      {
        return Outcome(
          channel: channel, jid: resumable.jid, management: management, isResumed: true, mechanism: mechanism,
          largestStanza: largestStanza)
      }
    }
    guard features.child("bind", Namespace.bind) != nil else {
      throw SeamError(.unsupported, operation: "bind a resource", cause: "the server offers no resource")
    }
    let bind = XMLElement(
      "bind", Namespace.bind, children: [XMLElement("resource", Namespace.bind, text: resource)])
    channel.send(XMLElement("iq", Namespace.client, ["type": "set", "id": "bind"], children: [bind]))
    let bound = try await stanza(channel, "bind a resource")
    guard bound["type"] == "result",
      let jid = bound.child("bind", Namespace.bind)?.child("jid", Namespace.bind).flatMap({ JID($0.text) })
    else { throw SeamError(stanza: bound, operation: "bind a resource") }
    var management: StreamManagement?
    if canManage {
      channel.send(XMLElement("enable", Namespace.management, ["resume": "true"]))
      let answer = try await stanza(channel, "enable stream management")
      if answer.isA("enabled", Namespace.management) {
        var counts = StreamManagement()
        if answer["resume"] == "true" || answer["resume"] == "1" { counts.resumption = answer["id"] }
        counts.keeps = .seconds(answer["max"].flatMap { Int($0) } ?? 300)
        management = counts
      }
    }
    return Outcome(
      channel: channel, jid: jid, management: management, isResumed: false, mechanism: mechanism,
      largestStanza: largestStanza)
  }
}
