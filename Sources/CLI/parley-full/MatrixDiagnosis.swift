import ParleyCommands
import ParleyMatrix
import ParleyRuntime

/// What `doctor` says about the homeserver and the rooms of topics beside what the probe found.
enum MatrixDiagnosis {
  static func findings(_ settings: Settings, _ topics: [Topic]) async -> [Finding] {
    do throws(SeamError) {
      let options = try MatrixOptions(settings)
      return transport(options) + findings(try await MatrixInspection.look(options, topics: topics), options)
    } catch {
      return [Finding(.error, "homeserver", error.description, fix: fix(for: error))]
    }
  }

  private static func transport(_ options: MatrixOptions) -> [Finding] {
    let host = options.homeserver.dropFirst("http://".count).prefix { $0 != ":" && $0 != "/" }
    guard options.homeserver.hasPrefix("http://"), !["127.0.0.1", "localhost", "[::1]", "[", ""].contains(String(host))
    else { return [] }
    return [
      Finding(
        .warning, "transport", "\(options.homeserver) is not encrypted: the account's token can be read on the way",
        fix: "use https:// in homeserver_url")
    ]
  }

  private static func findings(_ found: MatrixInspection, _ options: MatrixOptions) -> [Finding] {
    let device = found.device.map { ", device \($0)" } ?? ""
    let software = found.software ?? "a server that does not tell its name"
    var findings = [
      Finding(
        .ok, "homeserver",
        "\(found.account)\(device) at \(software), over HTTP/\(found.isHTTP2 ? "2" : "1.1"); a request takes "
          + "\(found.roundTrip.nanoseconds / 1000) µs")
    ]
    findings += features(found) + clock(found)
    for room in found.rooms { findings += self.findings(room, options) }
    if found.unseen > 0 {
      findings.append(Finding(.note, "room", "\(found.unseen) further topics were not looked at"))
    }
    return findings
  }

  /// Parts of the specification that Parley uses, and the version that brought them.
  private static let features: [(minor: Int, what: String)] = [
    (3, "tokens that renew themselves"), (4, "threads"), (7, "mentions that ring"), (11, "links to files"),
  ]

  private static func features(_ found: MatrixInspection) -> [Finding] {
    let minors = found.specifications.filter { $0.hasPrefix("v1.") }.compactMap { Int($0.dropFirst(3)) }
    guard let newest = minors.max() else {
      return [
        Finding(
          .error, "specification",
          "the server knows \(found.specifications.last ?? "no version") of the specification; Parley needs v1.1",
          fix: "upgrade the homeserver")
      ]
    }
    let missing = features.filter { $0.minor > newest }.map(\.what)
    guard !missing.isEmpty else {
      return [Finding(.ok, "specification", "v1.\(newest): everything that Parley uses")]
    }
    return [
      Finding(
        .warning, "specification", "v1.\(newest): without \(missing.joined(separator: ", "))",
        fix: "upgrade the homeserver")
    ]
  }

  private static func clock(_ found: MatrixInspection) -> [Finding] {
    guard let skew = found.clockSkew else {
      return [Finding(.note, "clock", "no room of ours tells the homeserver's time yet")]
    }
    guard abs(skew) >= 30_000 else {
      return [Finding(.ok, "clock", "the homeserver's clock differs by \(skew) ms")]
    }
    return [
      Finding(
        .warning, "clock", "the homeserver's clock differs by \(skew / 1000) s: leases and keys are judged by it",
        fix: "set the clocks of this machine and of the homeserver by NTP")
    ]
  }

  // MARK: Rooms

  private static func findings(_ room: MatrixInspection.RoomState, _ options: MatrixOptions) -> [Finding] {
    let name = "\(room.topic) (\(room.name))"
    switch room.state {
    case .missing(isGiven: false):
      return [Finding(.note, "room", "\(name): no such room yet; the first post makes it")]
    case .missing(isGiven: true):
      return [
        Finding(
          .error, "room", "\(name): no such room, and Parley does not make a room that is given",
          fix: "make it, or correct rooms.\(room.topic)")
      ]
    case .outside:
      return [
        Finding(
          .error, "room", "\(name): the account is no member",
          fix: "let a member invite it, or name another room under rooms.\(room.topic)")
      ]
    case .unknown(let cause):
      return [Finding(.warning, "room", "\(name): cannot be looked at: \(cause)", fix: "run doctor again")]
    case .joined(let rights): return findings(name, rights, options)
    }
  }

  private static func findings(
    _ name: String, _ rights: MatrixInspection.RoomRights, _ options: MatrixOptions
  ) -> [Finding] {
    if rights.isEncrypted {
      return [
        Finding(
          .error, "room", "\(name) is encrypted, which Parley does not read",
          fix: "use a room without encryption, for example one that Parley makes; it cannot be switched off in a room")
      ]
    }
    var findings: [Finding] = []
    if let successor = rights.successor {
      findings.append(
        Finding(
          .error, "room", "\(name) was replaced by \(successor)",
          fix: "name that one under rooms, and invite the account"))
    }
    if !rights.maySend {
      findings.append(
        Finding(
          .error, "room", "\(name): the account may read, but not send",
          fix: "let an administrator of the room raise its power level"))
    }
    if !rights.mayInvite, !options.invite.isEmpty {
      findings.append(
        Finding(
          .warning, "room", "\(name): the account may not invite the people of backend_config.invite",
          fix: "let an administrator of the room invite them, or raise its power level"))
    }
    if !["shared", "world_readable"].contains(rights.historyVisibility) {
      findings.append(
        Finding(
          .warning, "room", "\(name) shows its history to \(rights.historyVisibility) members alone: gaps are told",
          fix: "set the room's history to be shared"))
    }
    if rights.joinRule == "public" {
      findings.append(
        Finding(.note, "room", "\(name) may be joined by whoever knows its alias", fix: "make it invite-only"))
    }
    if rights.isFederated {
      findings.append(
        Finding(
          .note, "room",
          "\(name) has members of other homeservers: order is that of arrival here, messages may come late",
          fix: "let all who claim tasks use one homeserver"))
    }
    guard findings.isEmpty else { return findings }
    return [
      Finding(
        .ok, "room", "\(name): not encrypted, may send, \(rights.joinRule), history \(rights.historyVisibility)")
    ]
  }

  private static func fix(for error: SeamError) -> String {
    switch error.code {
    case .unauthorized: "check user and password, or put a new access_token in place"
    case .invalidRequest: "see backend_config"
    default: "check that the homeserver runs and that homeserver_url names it (and ca_file its authority)"
    }
  }
}
