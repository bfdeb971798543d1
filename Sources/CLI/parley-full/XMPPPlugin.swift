import ParleyCommands
import ParleyRuntime
import ParleyXMPP

extension BackendPlugin {
  /// Rooms of an XMPP service, with people in their own clients.
  static let xmpp = BackendPlugin(
    description: XMPPOptions.description,
    make: { loop, settings throws(SeamError) in XMPPBackend(loop: loop, options: try XMPPOptions(settings)) },
    diagnose: { settings, _ in await XMPPDiagnosis.findings(settings) },
    versions: [("expat", XMPPOptions.libraryVersion)])
}

/// What `doctor` says about the server beside what the probe found.
private enum XMPPDiagnosis {
  static func findings(_ settings: Settings) async -> [Finding] {
    do throws(SeamError) {
      let options = try XMPPOptions(settings)
      return findings(try await XMPPInspection.look(options), options)
    } catch {
      return [Finding(.error, "server", error.description, fix: fix(for: error))]
    }
  }

  private static func findings(_ found: XMPPInspection, _ options: XMPPOptions) -> [Finding] {
    var findings = [
      Finding(
        .ok, "server",
        "\(options.location): \(found.software ?? "unknown software"), round trip "
          + "\(found.roundTrip.nanoseconds / 1000) µs"),
      Finding(
        found.mechanism == "PLAIN" ? .warning : .ok, "login",
        "\(found.mechanism)\(found.isChannelBound ? ", bound to the TLS connection" : "")",
        fix: found.mechanism == "PLAIN" ? "enable SCRAM on the server: PLAIN shows it the password" : nil),
    ]
    if found.hasDefaultPassword {
      findings.append(
        Finding(
          .warning, "password", "backend_config.password is the default that everybody knows",
          fix: "give the account a password of its own"))
    }
    findings.append(
      found.canResume
        ? Finding(.ok, "resumption", "a cut stream can be resumed (XEP-0198)")
        : Finding(
          .warning, "resumption",
          "the server cannot resume streams: after a cut, posts are searched for in the archive",
          fix: "on Prosody enable the module smacks, on ejabberd mod_stream_mgmt"))
    findings.append(rooms(found, options))
    if found.hasArchive == nil, found.hasRooms {
      findings.append(
        Finding(
          .note, "archive", "the service does not say whether rooms are archived; each room is asked when it is used",
          fix:
            "on Prosody enable muc_mam at the component, and set muc_log_expires_after to how long messages shall stay"
        ))
    }
    if let limit = found.largestStanza, limit < options.largestStanza {
      findings.append(Finding(.note, "size", "the server takes stanzas of at most \(limit) bytes"))
    }
    if let skew = found.clockSkew, skew.magnitude >= .seconds(5) {
      findings.append(
        Finding(
          .warning, "clock", "the server's clock is \(skew.components.seconds) s ahead of ours",
          fix: "run NTP on both: times of messages are the server's"))
    }
    return findings
  }

  private static func rooms(_ found: XMPPInspection, _ options: XMPPOptions) -> Finding {
    guard !found.hasRooms else { return Finding(.ok, "rooms", "\(options.mucServiceName) offers rooms") }
    return Finding(
      .error, "rooms",
      "\(options.mucServiceName) offers no rooms\(found.roomsRefusal.map { ": \($0)" } ?? "")",
      fix: "set muc_service to the server's multi-user chat component, for example conference.\(options.domain)")
  }

  private static func fix(for error: SeamError) -> String {
    switch error.code {
    case .unauthorized:
      error.operation.hasPrefix("authenticate")
        ? "check username and password" : "check tls_ca_file, tls_server_name and the server's certificate"
    case .unsupported: "enable TLS and SCRAM on the server"
    case .invalidRequest: "correct the key that the text names"
    default: "check service, domain, the server and the network"
    }
  }
}

extension Duration {
  fileprivate var magnitude: Duration { self < .zero ? .zero - self : self }
}
