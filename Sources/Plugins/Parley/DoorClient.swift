import ParleyHTTPClient
import ParleyRuntime

/// Asks the door, one operation at a time on kept connections. Confined to the loop.
struct DoorClient: Sendable {
  private let client: HTTPClient
  private let options: ParleyOptions
  /// Sent with every request; nil for a door that lets everybody in.
  var token: String?

  init(loop: EventLoop, options: ParleyOptions) {
    var http = HTTPClientOptions(userAgent: "parley/\(ParleyVersion.text)", idleConnections: 4)
    http.certificateAuthorities = options.certificateAuthorities
    http.connectTimeout = options.connectTimeout
    client = HTTPClient(loop: loop, options: http)
    self.options = options
    token = options.token
  }

  /// Asks the door for a token of one's own; its status and JSON.
  func issueKey(
    _ label: String, deadline: LoopInstant
  ) async throws(SeamError) -> (status: Int, body: JSONValue) {
    let body = Self.body { $0.member("agent_label", label) }
    let headers = [HTTPRequest.Header("Content-Type", "application/json")]
    do throws(HTTPFailure) {
      let answer = try await client.send(
        HTTPRequest(.post, options.url + "/v1/keys", headers: headers, body: body), deadline: deadline)
      return (answer.status, (try? JSONValue(parsing: answer.body)) ?? .null)
    } catch {
      throw ParleyFailure.seam(error, "issue key", mayBeDone: false)
    }
  }

  /// A request's body; `write` writes its members.
  static func body(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
    var writer = JSONWriter(capacity: 512)
    writer.beginObject()
    write(&writer)
    writer.endObject()
    return writer.bytes
  }

  /// Sends a request and returns the body of its answer.
  func ask(
    _ operation: RelayWire.Operation, _ body: [UInt8], deadline: LoopInstant
  ) async throws(SeamError) -> JSONSlice {
    var headers = [HTTPRequest.Header("Content-Type", "application/json")]
    if let token { headers.append(HTTPRequest.Header("Authorization", "Bearer \(token)")) }
    let name = operation.rawValue
    let mayBeDone = operation == .post
    let response: HTTPResponse
    do throws(HTTPFailure) {
      response = try await client.send(
        HTTPRequest(.post, options.url + operation.path, headers: headers, body: body), deadline: deadline)
    } catch {
      throw ParleyFailure.seam(error, name, mayBeDone: mayBeDone)
    }
    guard response.status == 200 else {
      throw ParleyFailure.seam(status: response.status, response.body, name, mayBeDone: mayBeDone)
    }
    guard let json = try? JSONSlice(response.body) else { throw Self.misread(name, mayBeDone) }
    return json
  }

  /// An answer that is none of the door's.
  static func misread(_ operation: String, _ mayBeDone: Bool = false) -> SeamError {
    SeamError(
      mayBeDone ? .outcomeUnknown : .unsupported, operation: operation,
      cause: "the answer is not that of a Parley door of this version")
  }

  func close() async { await client.close() }
}
