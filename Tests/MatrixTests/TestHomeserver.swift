import ParleyMatrix
import ParleyRuntime
import ParleyTestKit

/// A Synapse of one suite, with an administrator and the user that Parley logs in as.
struct TestHomeserver: Sendable {
  let server: SynapseServer
  let admin: String
  static let user = "parley"
  static let password = "correct horse"
  static var account: String { "@\(user):\(SynapseServer.name)" }

  static func start(_ options: SynapseServer.Options = SynapseServer.Options()) async throws -> TestHomeserver {
    let server = try await SynapseServer.start(options)
    let admin = try await server.register("admin", password: "admin", isAdmin: true)
    try await server.register(user, password: password)
    return TestHomeserver(server: server, admin: admin)
  }

  /// A server that all tests of a suite share; made by whoever asks first.
  actor Shared {
    private var making: Task<TestHomeserver, any Error>?

    func value() async throws -> TestHomeserver {
      let task = making ?? Task { try await TestHomeserver.start() }
      making = task
      return try await task.value
    }
  }

  /// One that suites share which do nothing to a server that others would notice.
  static let peaceful = Shared()

  func options(port: Int? = nil) -> MatrixOptions {
    var options = MatrixOptions(
      homeserver: "http://127.0.0.1:\(port ?? server.port)",
      login: .password(user: Self.user, password: Self.password))
    options.requestTimeout = .seconds(10)
    return options
  }

  // MARK: What an administrator does

  /// The id of a topic's room; nil where its alias leads nowhere.
  func room(of topic: Topic) async throws -> String? {
    let alias = Self.escape("#" + Self.localpart(topic) + ":" + SynapseServer.name)
    return try await server.request("GET", "/_matrix/client/v3/directory/room/\(alias)", token: admin)["room_id"]?
      .string
  }

  /// The TypeScript Parley's rule for names that need no folding.
  private static func localpart(_ topic: Topic) -> String { "parley_" + topic.name }

  /// Purges a room's oldest messages, but for the newest so many.
  func trim(_ topic: Topic, _ count: Int) async throws {
    guard let room = try await room(of: topic).map(Self.escape) else { return }
    let token = try await server.request(
      "POST", "/_matrix/client/v3/login",
      body: [
        "type": "m.login.password", "identifier": ["type": "m.id.user", "user": .string(Self.user)],
        "password": .string(Self.password),
      ])["access_token"]?.string
    // The newest event of a room cannot be purged: something that is no message becomes it.
    _ = try await server.request(
      "PUT", "/_matrix/client/v3/rooms/\(room)/state/m.room.topic/", token: token,
      body: ["topic": .string("trimmed to \(count)")])
    let filter = Self.escape("{\"types\":[\"m.room.message\"]}")
    let newest = try await server.request(
      "GET", "/_matrix/client/v3/rooms/\(room)/messages?dir=b&limit=\(max(count, 1))&filter=\(filter)", token: token)
    var last = count == 0 ? nil : newest["chunk"]?.array?.last?["event_id"]?.string
    if last == nil {
      let all = try await server.request(
        "GET", "/_matrix/client/v3/rooms/\(room)/messages?dir=b&limit=1", token: token)
      last = all["chunk"]?[0]?["event_id"]?.string
    }
    let purge = try await server.request(
      "POST", "/_synapse/admin/v1/purge_history/\(room)/\(Self.escape(last ?? ""))", token: admin,
      body: ["delete_local_events": true])
    guard let id = purge["purge_id"]?.string else { throw ServerFailure("purge: \(purge.text)") }
    try await settled {
      try await server.request(
        "GET", "/_synapse/admin/v1/purge_history_status/\(id)", token: admin)["status"]?.string
    }
  }

  /// Deletes a topic's room with everything in it; its alias is free again.
  func delete(_ topic: Topic) async throws {
    guard let room = try await room(of: topic).map(Self.escape) else { return }
    let deletion = try await server.request(
      "DELETE", "/_synapse/admin/v2/rooms/\(room)", token: admin, body: ["purge": true, "block": false])
    guard let id = deletion["delete_id"]?.string else { throw ServerFailure("delete: \(deletion.text)") }
    try await settled {
      try await server.request(
        "GET", "/_synapse/admin/v2/rooms/delete_status/\(id)", token: admin)["status"]?.string
    }
  }

  private func settled(_ status: () async throws -> String?) async throws {
    for _ in 0..<1000 {
      switch try await status() {
      case "complete": return
      case "failed", nil: throw ServerFailure("the administrator's job failed")
      default: _ = try await server.request("GET", "/health")
      }
    }
    throw ServerFailure("the administrator's job does not end")
  }

  static func escape(_ text: String) -> String {
    text.utf8.map { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        || byte == 0x2d || byte == 0x2e || byte == 0x5f
        ? String(Character(Unicode.Scalar(byte))) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }
}
