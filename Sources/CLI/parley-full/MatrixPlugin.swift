import ParleyCommands
import ParleyMatrix
import ParleyRuntime

extension BackendPlugin {
  /// Matrix: people in their own clients beside the agents.
  static let matrix = BackendPlugin(
    description: MatrixOptions.description,
    make: { loop, settings throws(SeamError) in MatrixBackend(loop: loop, options: try MatrixOptions(settings)) },
    diagnose: { settings in await MatrixDiagnosis.findings(settings) },
    versions: [("libcurl", MatrixInspection.libraryVersion)])
}

/// What `doctor` says about the homeserver and its rooms beside what the probe found.
private enum MatrixDiagnosis {
  static func findings(_ settings: Settings) async -> [Finding] {
    do throws(SeamError) {
      let options = try MatrixOptions(settings)
      return transport(options) + findings(try await MatrixInspection.look(options))
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

  private static func findings(_ found: MatrixInspection) -> [Finding] {
    var findings = [
      Finding(
        .ok, "homeserver",
        "\(found.account)\(found.device.map { ", device \($0)" } ?? ""); specification \(found.specification), a request "
          + "takes \(found.roundTrip.nanoseconds / 1000) µs")
    ]
    if let skew = found.clockSkew {
      findings.append(
        abs(skew) < 60_000
          ? Finding(.ok, "clock", "the homeserver's clock differs by \(skew) ms")
          : Finding(
            .warning, "clock", "the homeserver's clock differs by \(skew / 1000) s: leases and keys are judged by it",
            fix: "set the clocks by NTP"))
    }
    for room in found.rooms { findings += self.findings(room) }
    return findings
  }

  private static func findings(_ room: MatrixInspection.RoomState) -> [Finding] {
    if room.isEncrypted {
      return [
        Finding(
          .error, "room", "\(room.name) is encrypted, which Parley does not read",
          fix: "use a room without encryption, for example one that Parley makes; it cannot be switched off in a room")
      ]
    }
    var findings: [Finding] = []
    if !room.maySend {
      findings.append(
        Finding(
          .error, "room", "\(room.name): the account may read, but not send",
          fix: "let an administrator of the room raise its power level"))
    }
    if !["shared", "world_readable"].contains(room.historyVisibility) {
      findings.append(
        Finding(
          .warning, "room", "\(room.name) shows its history to \(room.historyVisibility) members alone: gaps are told",
          fix: "set the room's history to be shared"))
    }
    if room.joinRule == "public" {
      findings.append(
        Finding(.note, "room", "\(room.name) may be joined by whoever knows its alias", fix: "make it invite-only"))
    }
    if room.isFederated {
      findings.append(
        Finding(
          .note, "room",
          "\(room.name) has members of other homeservers: order is that of arrival here, and messages may come late",
          fix: "let all who claim tasks use one homeserver"))
    }
    return findings.isEmpty
      ? [Finding(.ok, "room", "\(room.name): may send, \(room.joinRule), history \(room.historyVisibility)")] : findings
  }

  private static func fix(for error: SeamError) -> String {
    switch error.code {
    case .unauthorized: "check user and password, or put a new access_token in place"
    case .invalidRequest: "see backend_config"
    default: "check that the homeserver runs and that homeserver_url names it (and ca_file its authority)"
    }
  }
}
