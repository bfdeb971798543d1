import ParleyCoordination
import ParleyRuntime

extension Backchannel {
  /// A key for another agent, from this door or the one that the backend leads to.
  func issueKey(_ label: String) async throws(Refusal) -> JSONValue {
    try countWrite()
    if let issue = options.issueKey { return try await issue(label).get() }
    guard let issuer = hub.supervisor.backend as? any KeyIssuer else {
      throw Refusal(
        403, "minting_closed", "no keys are given out here: an HTTP door does (parley serve --http, keys.self_service)")
    }
    let answer: (status: Int, body: JSONValue)
    do throws(SeamError) {
      answer = try await issuer.issueKey(label, deadline: deadline)
    } catch {
      throw Refusal(.seam(error))
    }
    guard answer.status == 201 else {
      let error = answer.body["error"]
      // A door that gives none out has no such address, or asks for a token.
      guard let code = error?["code"]?.string, answer.status != 404, answer.status != 401 else {
        throw Refusal(403, "minting_closed", "the other end gives no keys out (keys.self_service)")
      }
      throw Refusal(answer.status, code, error?["message"]?.string ?? "the other end refused")
    }
    return answer.body
  }

  /// Every channel is open to everyone of the backend.
  func requestAccess(_ channel: String) async throws(Refusal) -> JSONValue {
    _ = try await existing(channel)
    return ["status": "open"]
  }
}
