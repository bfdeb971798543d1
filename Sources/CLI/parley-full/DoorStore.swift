import ParleyCommands
import ParleyConfiguration
import ParleyRedis
import ParleyRemote
import ParleyRuntime

extension RedisCell: RecordCell {}

/// The store that `auth` of the configuration names: a file, or a Redis of its own.
enum DoorStore {
  private static let schemes = ["redis://", "rediss://", "valkey://", "valkeys://", "unix://"]
  private static let redisKey = "parley:auth"

  /// Whether processes of several hosts may use it.
  static func isShared(_ access: Configuration.Access) -> Bool { schemes.contains { access.store.hasPrefix($0) } }

  /// Throws where whoever may use the conversation could use the store as well.
  static func check(_ configuration: Configuration) throws {
    guard isShared(configuration.access), configuration.backend == RedisOptions.description.name else { return }
    let own = try redisOptions(configuration.access)
    guard own.isReachable(with: try RedisOptions(configuration.backendSettings)) else { return }
    throw AuthStoreError(
      "auth.store: \(own.location) is the conversation's own server with its user or its database; give the store both "
        + "of its own, for example redis://parley-auth@host:6379/1 (docs/replicas.md)")
  }

  /// The key that codes what the server vouches for; made where there is none.
  static func key(_ access: Configuration.Access) throws -> ServerKey {
    guard isShared(access) else { return try FileAuthStore(access.store).key }
    guard let file = access.storeKey else {
      throw AuthStoreError(
        "auth.store_key: \(access.store) needs the path of a key file, with the same content for every process")
    }
    return try ServerKey(file: file)
  }

  /// Opens it on a loop, from whose thread it is used.
  static func open(_ access: Configuration.Access, on loop: EventLoop) async throws(AuthStoreError) -> any AuthStore {
    guard isShared(access) else { return try FileAuthStore(access.store) }
    let store: SharedAuthStore
    do {
      store = SharedAuthStore(
        loop: loop, cell: RedisCell(loop: loop, options: try redisOptions(access), key: redisKey),
        key: try key(access))
    } catch { throw AuthStoreError("\(error)") }
    try await store.start()
    return store
  }

  /// Changes its state; blocks. A change that changes nothing is a look at it.
  static func change<Value: Sendable>(
    _ configuration: Configuration, _ change: @escaping @Sendable (inout AuthState) -> Value
  ) throws -> Value {
    let access = configuration.access
    guard isShared(access) else { return try FileAuthStore(access.store).changeNow(change) }
    try check(configuration)
    let loop = try EventLoop(name: "auth store")
    return try loop.run { () async -> Result<Value, AuthStoreError> in
      do throws(AuthStoreError) {
        let store = try await open(access, on: loop)
        let value = try await store.change(on: loop, change)
        if let shared = store as? SharedAuthStore { await shared.stop() }
        return .success(value)
      } catch { return .failure(error) }
    }.get()
  }

  private static func redisOptions(_ access: Configuration.Access) throws(SeamError) -> RedisOptions {
    let user = access.store.split(separator: "/", omittingEmptySubsequences: true).dropFirst().first?
      .split(separator: "@", omittingEmptySubsequences: false)
    if let user, user.count > 1, user.dropLast().joined(separator: "@").contains(":") {
      throw SeamError(
        .invalidRequest, operation: "read auth.store", cause: "a password belongs into auth.store_password_file")
    }
    var settings = Settings(defaultsOf: RedisOptions.description.schema)
    settings["url"] = .string(access.store)
    settings["client_name"] = .string("parley-auth")
    if let password = access.storePassword { settings["password"] = .string(password) }
    if let authorities = access.storeAuthorities { settings["tls_ca_file"] = .string(authorities) }
    return try RedisOptions(settings)
  }
}
