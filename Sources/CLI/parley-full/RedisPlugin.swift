import ParleyCommands
import ParleyRedis
import ParleyRuntime

extension BackendPlugin {
  /// Redis, Valkey and what speaks their protocol.
  static let redis = BackendPlugin(
    description: RedisOptions.description,
    make: { loop, settings throws(SeamError) in RedisBackend(loop: loop, options: try RedisOptions(settings)) },
    diagnose: { settings, _ in await RedisDiagnosis.findings(settings) },
    versions: [("hiredis", RedisOptions.libraryVersion)])
}

/// What `doctor` says about the server beside what the probe found.
private enum RedisDiagnosis {
  static func findings(_ settings: Settings) async -> [Finding] {
    do throws(SeamError) {
      let options = try RedisOptions(settings)
      return findings(try await RedisInspection.look(options), options)
    } catch {
      return [Finding(.error, "server", error.description, fix: fix(for: error))]
    }
  }

  private static func findings(_ found: RedisInspection, _ options: RedisOptions) -> [Finding] {
    var findings = [
      Finding(
        .ok, "server",
        "\(found.location): version \(found.version ?? "unknown")\(found.isCluster ? ", a cluster" : ""), "
          + "\(found.replicas) replicas, round trip \(found.roundTrip.nanoseconds / 1000) µs"),
      version(found.version),
    ].compactMap { $0 }
    for right in found.rights {
      guard let refusal = right.refusal else { continue }
      findings.append(
        Finding(
          right.isEssential ? .error : .warning, "rights", "may not \(right.purpose): \(refusal)",
          fix: "ACL SETUSER <user> \(right.rule) ~\(options.keyPrefix)*"))
    }
    if found.rights.allSatisfy({ $0.refusal == nil }) {
      findings.append(Finding(.ok, "rights", "the user may do all that is needed"))
    }
    findings.append(durability(found))
    if let policy = found.evictionPolicy {
      findings.append(
        policy == "noeviction"
          ? Finding(.ok, "memory", "maxmemory-policy is noeviction: a full server refuses posts and keeps what it has")
          : Finding(
            .warning, "memory", "maxmemory-policy is \(policy): a full server may delete whole topics",
            fix: "CONFIG SET maxmemory-policy noeviction"))
    }
    if !found.blocks {
      findings.append(
        Finding(
          .warning, "push",
          "the server does not wait in blocking reads: new messages are looked for every 10 ms after traffic, and up to "
            + "every \(options.pollInterval.milliseconds) ms when it is quiet, which is the delay of the first one",
          fix: "lower poll_interval_ms (at the price of requests), or use a server with XREAD BLOCK"))
    }
    return findings
  }

  private static func version(_ version: String?) -> Finding? {
    guard let version, let major = version.split(separator: ".").first.flatMap({ Int($0) }), major < 7 else {
      return nil
    }
    return Finding(
      .warning, "version", "Redis \(version) does not count what streams lost: gaps are told more often than needed",
      fix: "upgrade to Redis 7 or Valkey")
  }

  private static func durability(_ found: RedisInspection) -> Finding {
    switch found.durability {
    case .synced: Finding(.ok, "durability", "appendfsync is always: an acknowledged post is on the disk")
    case .written:
      Finding(
        .note, "durability",
        "appendfsync is no: an acknowledged post survives a crash of the server, not of the machine",
        fix: "CONFIG SET appendfsync always")
    default:
      Finding(
        .warning, "durability", found.notes.first ?? "the server does not say whether it keeps posts on disk",
        fix: "CONFIG SET appendonly yes; CONFIG SET appendfsync always; CONFIG REWRITE")
    }
  }

  private static func fix(for error: SeamError) -> String {
    switch error.code {
    case .unauthorized: "check username, password, and for rediss:// the TLS files and tls_server_name"
    case .forbidden: "give the user the rights of docs/backends/redis.md"
    case .invalidRequest: "see backend_config"
    default: "check that the server runs and that url names its host and port"
    }
  }
}
