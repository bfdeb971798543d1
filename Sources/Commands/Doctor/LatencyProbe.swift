import ParleyRuntime

/// Connects, reads and posts as any call would, and measures how long that takes.
struct LatencyProbe: Sendable {
  let setup: Hub.Setup
  let supervisor: Supervisor

  /// The probe posts one message to this reserved topic, where no participant looks, and only when it is older than a
  /// day does the next probe add another: the key is the day's number.
  /// Where rooms belong to accounts, each participant has one of its own, since nobody else is let in.
  private func topic(on traits: BackendTraits) -> Topic {
    Topic(traits.authenticatesSenders ? "~doctor.\(setup.author.handle)" : "~doctor")
  }

  func findings() async -> [Finding] {
    let loop = supervisor.loop
    let name = await supervisor.traits.name
    do throws(HubError) {
      let hub = try Hub(setup: setup, supervisor: supervisor)
      let start = loop.now
      for topic in setup.topics { _ = try await hub.fetchUnchecked(FetchRequest(topic, .latest, limit: 1)) }
      let read = loop.now
      let day = loop.wallClockMilliseconds / 86_400_000
      let traits = await supervisor.traits
      let probe = PostRequest(topic: topic(on: traits), content: "doctor was here", key: "doctor-\(day)")
      let receipt = try await hub.postUnchecked(probe)
      let posted = loop.now
      let topics = setup.topics.count == 1 ? "1 topic" : "\(setup.topics.count) topics"
      var findings = [
        Finding(.ok, "backend", "\(name) at \(traits.location): reachable, posts are \(receipt.durability)"),
        Finding(
          .ok, "latency",
          "connect and read \(topics) \(microseconds(start, read)), post \(microseconds(read, posted))"
        ),
      ]
      findings += traits.notes.map { Finding(.note, "backend", $0) }
      return findings
    } catch {
      let health = await supervisor.health
      let cause = health.cause.map { "\($0)" } ?? error.description
      return [
        Finding(.error, "backend", "\(name) is \(health.state.rawValue): \(cause)", fix: Self.fix(for: error))
      ]
    }
  }

  private static func fix(for error: HubError) -> String {
    guard case .seam(let failure) = error else { return "see the configuration" }
    return switch failure.code {
    case .unauthorized: "check the credentials in backend_config"
    case .forbidden: "give this account or user the right to read and write"
    case .storageFull: "free space where the backend stores its data"
    case .corrupt: "restore the store from a backup; Parley writes nothing into a damaged one"
    case .unsupported: "use another place or backend, as the text says"
    default: "check that the backend runs and that backend_config points to it"
    }
  }

  private func microseconds(_ from: LoopInstant, _ to: LoopInstant) -> String {
    "\(from.duration(to: to).nanoseconds / 1000) µs"
  }
}
