import ParleyHTTPClient
import ParleyRuntime

/// What `doctor` wants to know of a homeserver and of the rooms of topics.
public struct MatrixInspection: Sendable {
  /// The room of one topic, as the account finds it.
  public struct RoomState: Sendable {
    /// The topic.
    public let topic: Topic
    /// Its room as configuration or Parley's rule names it.
    public let name: String
    /// What became of it.
    public let state: State

    /// What there is of a room.
    public enum State: Sendable {
      /// Its alias leads nowhere; a given room is not made by Parley.
      case missing(isGiven: Bool)
      /// The account is no member.
      case outside
      /// It could not be looked at.
      case unknown(cause: String)
      /// The account is a member.
      case joined(RoomRights)
    }
  }

  /// What a member may do in a room, and what kind of room it is.
  public struct RoomRights: Sendable {
    /// Parley cannot read it.
    public let isEncrypted: Bool
    /// The account may send messages.
    public let maySend: Bool
    /// The account may invite others.
    public let mayInvite: Bool
    /// Who may enter: `invite`, `public`, …
    public let joinRule: String
    /// Who sees what was said before: `shared`, `joined`, …
    public let historyVisibility: String
    /// Members of other servers take part, so that order is the arrival order at this server.
    public let isFederated: Bool
    /// The room that replaced it, where one did.
    public let successor: String?
  }

  /// The account.
  public let account: String
  /// Its device.
  public let device: String?
  /// The versions of the specification that the server names, in its order.
  public let specifications: [String]
  /// The server's own name and version, where it tells them.
  public let software: String?
  /// How long the lightest request took.
  public let roundTrip: Duration
  /// The answers came over HTTP/2.
  public let isHTTP2: Bool
  /// How far the server's clock is from ours, in milliseconds; nil where no room told.
  public let clockSkew: Int64?
  /// The rooms of the topics, and of the map `rooms`; at most 50.
  public let rooms: [RoomState]
  /// Topics beyond those.
  public let unseen: Int

  private static let roomLimit = 50

  /// The version of libcurl.
  public static var libraryVersion: String { HTTPClient.libraryVersion }

  /// Looks, on a loop and with a login of its own.
  public static func look(_ options: MatrixOptions, topics: [Topic]) async throws(SeamError) -> MatrixInspection {
    let loop: EventLoop
    do throws(SystemError) { loop = try EventLoop.thread(named: "matrix-doctor") } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: "start a thread", cause: error.description)
    }
    defer { loop.stop() }
    return try await loop.spawn { () async -> Result<MatrixInspection, SeamError> in
      let server = Homeserver(loop: loop, options: options)
      let result: Result<MatrixInspection, SeamError>
      do throws(MatrixFailure) {
        result = .success(try await look(options, topics, at: server, on: loop))
      } catch {
        result = .failure(error.seamError("look at \(options.homeserver)"))
      }
      await server.close()
      return result
    }.value.get()
  }

  private static func look(
    _ options: MatrixOptions, _ topics: [Topic], at server: Homeserver, on loop: EventLoop
  ) async throws(MatrixFailure) -> MatrixInspection {
    let deadline = loop.now.advanced(by: options.requestTimeout)
    let versions = try await server.publicCall("versions", deadline: deadline)
    let began = loop.now
    _ = try await server.publicCall("versions", deadline: deadline)
    let roundTrip = began.duration(to: loop.now)
    let (account, device) = try await server.authenticate(deadline: deadline)
    let answer = try await server.call(.get, "v3/joined_rooms", deadline: deadline)
    let joined = Set(answer.member("joined_rooms")?.elements.compactMap(\.string) ?? [])
    let wanted = Set(topics).union(options.rooms.keys.map { Topic($0) }).sorted()
    var rooms: [RoomState] = []
    var skew: Int64?
    for topic in wanted.prefix(roomLimit) {
      let look = RoomLook(server: server, options: options, account: account, loop: loop)
      rooms.append(await look.state(of: topic, joined: joined))
      if skew == nil, let id = await look.room(of: topic), joined.contains(id) { skew = await look.skew(in: id) }
    }
    return MatrixInspection(
      account: account, device: device,
      specifications: versions.member("versions")?.elements.compactMap(\.string) ?? [],
      software: await server.software(deadline: deadline), roundTrip: roundTrip, isHTTP2: await server.isHTTP2,
      clockSkew: skew, rooms: rooms, unseen: max(0, wanted.count - roomLimit))
  }
}

/// Looks at single rooms.
private struct RoomLook {
  let server: Homeserver
  let options: MatrixOptions
  let account: String
  let loop: EventLoop

  private var deadline: LoopInstant { loop.now.advanced(by: options.requestTimeout) }

  private func name(of topic: Topic) -> String {
    let domain = account.split(separator: ":", maxSplits: 1).last.map(String.init) ?? account
    return options.rooms[topic.name] ?? RoomAlias.alias(of: topic, server: options.serverName ?? domain)
  }

  /// The id of a topic's room; nil where its alias leads nowhere, or that cannot be found out.
  func room(of topic: Topic) async -> String? { try? await find(name(of: topic)) }

  private func find(_ name: String) async throws(MatrixFailure) -> String? {
    guard name.hasPrefix("#") else { return name }
    do throws(MatrixFailure) {
      return try await server.call(.get, "v3/directory/room/" + URLText.encode(name), deadline: deadline)
        .member("room_id")?.string
    } catch {
      if error.status == 404 { return nil }
      throw error
    }
  }

  func state(of topic: Topic, joined: Set<String>) async -> MatrixInspection.RoomState {
    let name = name(of: topic)
    var state: MatrixInspection.RoomState.State
    do throws(MatrixFailure) {
      if let id = try await find(name) {
        state = .outside
        if joined.contains(id) {
          let answer = try await server.call(.get, "v3/rooms/\(URLText.encode(id))/state", deadline: deadline)
          state = .joined(MatrixInspection.RoomRights(Array(answer.elements), account: account))
        }
      } else {
        state = .missing(isGiven: options.rooms[topic.name] != nil)
      }
    } catch { state = .unknown(cause: error.seamError("look").cause) }
    return MatrixInspection.RoomState(topic: topic, name: name, state: state)
  }

  /// The server's clock against ours. The API tells no time, but the time and the age of any event.
  func skew(in room: String) async -> Int64? {
    let path = "v3/rooms/\(URLText.encode(room))/messages"
    let answer = try? await server.call(.get, path, query: [("dir", "b"), ("limit", "1")], deadline: deadline)
    guard let event = answer?.member("chunk")?.elements.map(\.self).first,
      let sent = event.member("origin_server_ts")?.int, let age = event.member("unsigned")?.member("age")?.int
    else { return nil }
    return sent + age - loop.wallClockMilliseconds
  }
}

extension MatrixInspection.RoomRights {
  /// From the room's state events.
  init(_ state: [JSONSlice], account: String) {
    func content(_ type: String) -> JSONSlice? {
      state.first { $0.member("type")?.isString(type) == true }?.member("content")
    }
    let create = state.first { $0.member("type")?.isString("m.room.create") == true }
    let powers = content("m.room.power_levels")
    let own = powers?.member("users")?.member(account)?.int ?? powers?.member("users_default")?.int ?? 0
    let toSend = powers?.member("events")?.member("m.room.message")?.int ?? powers?.member("events_default")?.int ?? 0
    // From room version 12 on, creators stand above all levels.
    let isCreator = create?.member("sender")?.isString(account) == true
    let domain = account.split(separator: ":", maxSplits: 1).last ?? ""
    self.init(
      isEncrypted: content("m.room.encryption") != nil, maySend: own >= toSend || isCreator,
      mayInvite: own >= powers?.member("invite")?.int ?? 0 || isCreator,
      joinRule: content("m.room.join_rules")?.member("join_rule")?.string ?? "invite",
      historyVisibility: content("m.room.history_visibility")?.member("history_visibility")?.string ?? "shared",
      isFederated: state.contains { event in
        guard event.member("type")?.isString("m.room.member") == true,
          event.member("content")?.member("membership")?.isString("join") == true,
          let member = event.member("state_key")?.string
        else { return false }
        return !member.hasSuffix(":" + domain)
      },
      successor: content("m.room.tombstone")?.member("replacement_room")?.string)
  }
}
