import ParleyHTTPClient
import ParleyRuntime

/// What `doctor` wants to know of a homeserver and of the rooms that the account is in.
public struct MatrixInspection: Sendable {
  /// One room that Parley uses.
  public struct RoomState: Sendable {
    /// Its canonical alias, else its id.
    public let name: String
    /// Parley cannot read it.
    public let isEncrypted: Bool
    /// The account may send messages.
    public let maySend: Bool
    /// Who may enter: `invite`, `public`, …
    public let joinRule: String
    /// Who sees what was said before: `shared`, `joined`, …
    public let historyVisibility: String
    /// Members of other servers take part, so that order is the arrival order at this server.
    public let isFederated: Bool
  }

  /// The account.
  public let account: String
  /// Its device.
  public let device: String?
  /// The newest version of the specification that the server names.
  public let specification: String
  /// The server's own name and version, where it tells them.
  public let serverVersion: String?
  /// How long the lightest request took.
  public let roundTrip: Duration
  /// How far the server's clock is from ours, in milliseconds; nil where no room told.
  public let clockSkew: Int64?
  /// Rooms of the map `rooms`, and those with Parley's aliases; at most 20 are looked at.
  public let rooms: [RoomState]

  /// The version of libcurl.
  public static var libraryVersion: String { HTTPClient.libraryVersion }

  /// Looks, on a loop and with a login of its own.
  public static func look(_ options: MatrixOptions) async throws(SeamError) -> MatrixInspection {
    let loop: EventLoop
    do throws(SystemError) { loop = try EventLoop.thread(named: "matrix-doctor") } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: "start a thread", cause: error.description)
    }
    defer { loop.stop() }
    return try await loop.spawn { () async -> Result<MatrixInspection, SeamError> in
      let server = Homeserver(loop: loop, options: options)
      let result: Result<MatrixInspection, SeamError>
      do throws(MatrixFailure) {
        result = .success(try await look(options, at: server, on: loop))
      } catch {
        result = .failure(error.seamError("look at \(options.homeserver)"))
      }
      await server.close()
      return result
    }.value.get()
  }

  private static func look(
    _ options: MatrixOptions, at server: Homeserver, on loop: EventLoop
  ) async throws(MatrixFailure) -> MatrixInspection {
    let deadline = loop.now.advanced(by: options.requestTimeout)
    let versions = try await server.publicCall("versions", deadline: deadline)
    let began = loop.now
    _ = try await server.publicCall("versions", deadline: deadline)
    let roundTrip = began.duration(to: loop.now)
    let (account, device) = try await server.authenticate(deadline: deadline)
    let names = versions.member("versions")?.elements.compactMap(\.string) ?? []
    let joined = try await server.call(.get, "v3/joined_rooms", deadline: deadline)
    var rooms: [RoomState] = []
    var skew: Int64?
    for id in joined.member("joined_rooms")?.elements.compactMap(\.string) ?? [] where rooms.count < 20 {
      let path = "v3/rooms/\(URLText.encode(id))"
      guard let state = try? await server.call(.get, path + "/state", deadline: deadline),
        let room = RoomState(id, Array(state.elements), account: account, options: options)
      else { continue }
      rooms.append(room)
    }
    if !rooms.isEmpty { skew = try? await Self.skew(of: server, account: account, on: loop, deadline: deadline) }
    return MatrixInspection(
      account: account, device: device, specification: names.last ?? "unknown",
      serverVersion: versions.member("server")?.member("name")?.string, roundTrip: roundTrip, clockSkew: skew,
      rooms: rooms)
  }

  /// The server's clock against ours. The API tells no time, but the time and the age of any event of its own making.
  private static func skew(
    of server: Homeserver, account: String, on loop: EventLoop, deadline: LoopInstant
  ) async throws(MatrixFailure) -> Int64? {
    let filter = "{\"room\":{\"timeline\":{\"limit\":1}},\"presence\":{\"types\":[]}}"
    let answer = try await server.call(
      .get, "v3/sync", query: [("timeout", "0"), ("filter", filter)], deadline: deadline)
    for room in answer.member("rooms")?.member("join")?.members ?? JSONSlice.emptyObject.members {
      guard let event = room.value.member("timeline")?.member("events")?.elements.map(\.self).first,
        let sent = event.member("origin_server_ts")?.int, let age = event.member("unsigned")?.member("age")?.int
      else { continue }
      return sent + age - loop.wallClockMilliseconds
    }
    return nil
  }
}

extension MatrixInspection.RoomState {
  /// Nil for rooms that are not Parley's.
  init?(_ id: String, _ state: [JSONSlice], account: String, options: MatrixOptions) {
    func content(_ type: String) -> JSONSlice? {
      state.first { $0.member("type")?.isString(type) == true }?.member("content")
    }
    let alias = content("m.room.canonical_alias")?.member("alias")?.string
    let isNamed = options.rooms.values.contains { $0 == id || $0 == alias }
    guard isNamed || alias?.hasPrefix("#parley_") == true else { return nil }
    let creator = state.first { $0.member("type")?.isString("m.room.create") == true }
    let powers = content("m.room.power_levels")
    let own = powers?.member("users")?.member(account)?.int ?? powers?.member("users_default")?.int ?? 0
    let needed = powers?.member("events")?.member("m.room.message")?.int ?? powers?.member("events_default")?.int ?? 0
    let domain = account.split(separator: ":", maxSplits: 1).last ?? ""
    self.init(
      name: alias ?? id, isEncrypted: content("m.room.encryption") != nil,
      // From room version 12 on, creators stand above all levels.
      maySend: own >= needed || creator?.member("sender")?.isString(account) == true,
      joinRule: content("m.room.join_rules")?.member("join_rule")?.string ?? "invite",
      historyVisibility: content("m.room.history_visibility")?.member("history_visibility")?.string ?? "shared",
      isFederated: state.contains { event in
        guard event.member("type")?.isString("m.room.member") == true,
          event.member("content")?.member("membership")?.isString("join") == true,
          let member = event.member("state_key")?.string
        else { return false }
        return !member.hasSuffix(":" + domain)
      })
  }
}
