import ParleyRuntime

extension ParleyBackend {
  /// Asks the door for a token (`POST /v1/keys`); throws where it did not answer.
  public func issueKey(
    _ label: String, deadline: LoopInstant
  ) async throws(SeamError) -> (status: Int, body: JSONValue) {
    try await door.issueKey(label, deadline: deadline)
  }

  /// Whether the file that its key belongs in is not there, and nothing else gives it one.
  public func lacksKey() async -> Bool {
    guard door.token == nil, let key = options.ownKey else { return false }
    let file = KeyFileHandle(path: key.path)
    do throws(SeamError) {
      return try await onDisk(loop.now.advanced(by: .seconds(5)), { () throws(SystemError) in try file.read() }) == nil
    } catch {
      // Connecting tells what is wrong with it.
      return false
    }
  }

  /// The token in the file; where there is none, one that the door gives, which is kept there.
  func token(_ key: ParleyOptions.OwnKey, deadline: LoopInstant) async throws(SeamError) -> String {
    let file = KeyFileHandle(path: key.path)
    if let kept = try await onDisk(deadline, { () throws(SystemError) in try file.read() }) { return kept }
    let (status, body) = try await door.issueKey(key.label, deadline: deadline)
    guard status == 201, let token = body["key"]?.string else {
      let reason = body["error"]?["message"]?.string ?? "it answered with status \(status)"
      throw SeamError(
        .unauthorized, operation: "connect", cause: "the door gives no key for \(key.label): \(reason)")
    }
    // Another process may have been faster: then its key counts, and ours is never used.
    return try await onDisk(deadline) { () throws(SystemError) in
      try file.write(token)
      return try file.read() ?? token
    } ?? token
  }

  private func onDisk(
    _ deadline: LoopInstant, _ work: @escaping @Sendable () throws(SystemError) -> String?
  ) async throws(SeamError) -> String? {
    do throws(SystemError) {
      let outcome = try await loop.offload(named: "key file", until: deadline) { () -> Result<String?, SystemError> in
        do throws(SystemError) { return .success(try work()) } catch { return .failure(error) }
      }
      guard case .value(let result) = outcome else {
        throw SystemError(operation: "read", code: KeyFileHandle.timedOut)
      }
      return try result.get()
    } catch {
      throw SeamError(
        .unauthorized, operation: "connect", cause: "the key file cannot be used: \(error.description)")
    }
  }
}
