import ParleyCommands
import ParleyRuntime
import ParleyXMPP

/// What `doctor` says about the server beside what the probe found.
enum XMPPDiagnosis {
  /// `topics` are those whose rooms are looked at.
  static func findings(_ settings: Settings, _ topics: [Topic]) async -> [Finding] {
    do throws(SeamError) {
      let options = try XMPPOptions(settings)
      return findings(try await XMPPInspection.look(options, at: topics), options)
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
    if found.rooms.isEmpty, found.hasArchive == nil, found.hasRooms {
      findings.append(
        Finding(
          .note, "archive", "the service does not say whether rooms are archived; each room is asked when it is used",
          fix:
            "on Prosody enable muc_mam at the component, and set muc_log_expires_after to how long messages shall stay"
        ))
    }
    findings += found.rooms.map { room($0, options) }
    if found.rooms.contains(where: { if case .open(let room) = $0.state { room.hasArchive } else { false } }) {
      findings.append(
        Finding(
          .note, "archive",
          "servers do not tell how long they keep messages: Prosody a week, where nothing else is set",
          fix: "on Prosody set muc_log_expires_after at the component to how long messages shall stay"))
    }
    if let limit = found.largestStanza, limit < options.largestStanza {
      findings.append(Finding(.note, "size", "the server takes stanzas of at most \(limit) bytes"))
    }
    if let skew = found.clockSkew {
      let isFar = skew.magnitude >= .seconds(5)
      let seconds = skew.magnitude.components.seconds
      let distance = seconds == 0 ? "agrees with" : "is \(seconds) s \(skew < .zero ? "behind" : "ahead of")"
      findings.append(
        Finding(
          isFar ? .warning : .ok, "clock",
          "the server's clock \(distance) ours, to the second",
          fix: isFar ? "run NTP on both: times of messages are the server's" : nil))
    }
    return findings
  }

  private static func room(_ found: XMPPRoomInspection, _ options: XMPPOptions) -> Finding {
    let subject = "room"
    let name = "\(found.topic.name) (\(found.address))"
    switch found.state {
    case .absent: return Finding(.note, subject, "\(name): there is none yet; whoever first uses the topic makes it")
    case .refused(let reason):
      return Finding(
        .error, subject, "\(name): \(reason)",
        fix: "let an owner of the room make \(options.account) a member, or correct room_password")
    case .open(let room):
      guard room.hasArchive else {
        return Finding(
          .error, subject, "\(name): it keeps no archive",
          fix: "on Prosody enable muc_mam at \(options.mucServiceName), and archiving in the room's settings")
      }
      let words = [
        "we are \(room.affiliation == "none" ? "a guest" : room.affiliation), and \(room.role)",
        room.oldest.map { "the archive reaches back \(age($0))" } ?? "the archive is empty",
        room.isMembersOnly ? "for members only" : nil,
      ]
      let text = "\(name): \(words.compactMap(\.self).joined(separator: ", "))"
      if room.role == "visitor" {
        return Finding(
          .error, subject, text, fix: "let a moderator give \(options.account) voice: visitors may only read")
      }
      if !room.isPersistent {
        return Finding(
          .warning, subject, "\(text); it ends, with its archive, when the last one leaves",
          fix: "let an owner make the room persistent")
      }
      if !room.isNonAnonymous {
        return Finding(
          .warning, subject, "\(text); it hides real addresses, so that nobody's account is known",
          fix: "let an owner set who may see real addresses to anyone")
      }
      return Finding(.ok, subject, text)
    }
  }

  private static func age(_ duration: Duration) -> String {
    let seconds = duration.components.seconds
    return switch seconds {
    case ..<120: "\(seconds) s"
    case ..<7200: "\(seconds / 60) min"
    case ..<172_800: "\(seconds / 3600) h"
    default: "\(seconds / 86_400) days"
    }
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
