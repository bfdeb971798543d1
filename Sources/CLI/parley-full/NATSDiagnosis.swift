import ParleyCommands
import ParleyNATS
import ParleyRuntime

/// What `doctor` looks at beside reachability and latency: version, rights, limits, durability.
struct NATSDiagnosis {
  let settings: Settings

  func findings() async -> [Finding] {
    do throws(SeamError) {
      let options = try NATSOptions(settings)
      return findings(try await report(options), options)
    } catch {
      return [Finding(.error, "nats", "\(error)", fix: Self.fix(for: error))]
    }
  }

  private func report(_ options: NATSOptions) async throws(SeamError) -> NATSReport {
    let loop: EventLoop
    do throws(SystemError) { loop = try EventLoop.thread(named: "nats-doctor") } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: "start a thread", cause: error.description)
    }
    defer { loop.stop() }
    let look = loop.spawn { () async -> Result<NATSReport, SeamError> in
      let backend = NATSBackend(loop: loop, options: options)
      do throws(SeamError) {
        try await backend.connect { _ in }
        // The latency probe has posted there, so that the topic has a stream.
        let report = try await backend.report(
          on: [Topic("~doctor")], deadline: loop.now.advanced(by: .seconds(10)))
        await backend.disconnect()
        return .success(report)
      } catch {
        await backend.disconnect()
        return .failure(error)
      }
    }
    return try await look.value.get()
  }

  private func findings(_ report: NATSReport, _ options: NATSOptions) -> [Finding] {
    let version = report.version.map { "nats-server \($0)" } ?? "a server that does not tell its version"
    var findings = [
      Finding(
        .ok, "server",
        "\(version), a request takes \(report.roundTrip.nanoseconds / 1000) µs, messages up to "
          + "\(report.maximumPayload) bytes")
    ]
    if let warning = report.version?.warning {
      findings.append(Finding(.warning, "version", warning, fix: "use nats-server 2.10.23 or later"))
    }
    findings += room(report.storage, "storage") + room(report.memory, "memory")
    if let failure = report.consumerFailure {
      findings.append(
        Finding(
          .error, "rights", "no live delivery: \(failure)",
          fix: "allow publishing to $JS.API.CONSUMER.CREATE.>, $JS.API.CONSUMER.MSG.NEXT.> and "
            + "$JS.API.CONSUMER.DELETE.>"))
    } else {
      findings.append(Finding(.ok, "rights", "streams and consumers can be made and read"))
    }
    findings += report.weakStreams.map { Finding(.note, "stream", $0) }
    findings.append(durability(options))
    return findings
  }

  private func room(_ usage: NATSReport.Usage, _ name: String) -> [Finding] {
    guard let limit = usage.limit else { return [] }
    let percent = usage.used * 100 / max(limit, 1)
    let text = "\(usage.used >> 20) of \(limit >> 20) MiB (\(percent) %) of the account's \(name)"
    guard percent >= 80 else { return [Finding(.ok, name, text)] }
    return [Finding(.warning, name, text, fix: "set max_bytes or retention_days, or raise the account's limit")]
  }

  private func durability(_ options: NATSOptions) -> Finding {
    guard options.replicas == 1 else {
      return Finding(.ok, "durability", "new streams are kept by \(options.replicas) servers, a majority acknowledges")
    }
    guard options.storage == .file else {
      return Finding(
        .warning, "durability", "new streams are kept in the server's memory: a restart loses them",
        fix: "set storage: file")
    }
    return Finding(
      .note, "durability",
      "one server has written a post when it acknowledges it; unless it is set to sync_interval: always, the last two "
        + "minutes may be lost with the power",
      fix: "set sync_interval: always in the server's jetstream block, or replicas: 3 in a cluster")
  }

  private static func fix(for error: SeamError) -> String {
    switch error.code {
    case .unauthorized: "check user, token, nkey_seed_file, creds_file and tls in backend_config"
    case .forbidden: "give the account the right that the text names"
    case .unsupported: "enable JetStream for the server and the account (nats-server -js), or correct domain"
    case .invalidRequest: "correct backend_config as the text says"
    default: "check that the server runs and that servers in backend_config names it"
    }
  }
}
