import Glibc
import ParleyCommands
import ParleyConfiguration
import ParleyRemote
import ParleyRuntime
import ParleyTLS

extension DoorKeys {
  /// Tokens, clients and the owner's passphrase in the store of the configuration.
  static let stored = DoorKeys(
    summary: { configuration in
      // A door without keys needs no store.
      let store = configuration.access.store
      let isThere = unsafe access(store, F_OK) == 0
      guard isThere || DoorStore.isShared(configuration.access) else { return Summary(hasOwner: false, tokens: 0) }
      let state = try DoorStore.change(configuration) { $0 }
      return Summary(
        hasOwner: state.owner != nil, tokens: state.tokens.values.count { $0.expires ?? .max > now() })
    },
    setOwner: { configuration, passphrase in
      let hash = PassphraseHash.make(passphrase)
      try DoorStore.change(configuration) { $0.setOwner(hash) }
    },
    createToken: { configuration, new in
      guard let scopes = Scopes(new.scopes) else { return nil }
      let secret = Secret.token.make()
      let created = now()
      let record = TokenRecord(
        id: Secret.makeID(), name: new.name, scopes: scopes, handle: new.handle, created: created,
        expires: new.lifetime.map { created + $0.milliseconds })
      try DoorStore.change(configuration) { state in
        state.sweep(now: created, AuthState.Lifetimes())
        state.tokens[Secret.digest(secret)] = record
      }
      return (secret, Token(record))
    },
    tokens: { configuration in
      let time = now()
      return try DoorStore.change(configuration) { $0 }.tokens.values.filter { $0.expires ?? .max > time }
        .sorted { ($0.created, $0.id) < ($1.created, $1.id) }.map(Token.init)
    },
    revokeToken: { configuration, id in
      try DoorStore.change(configuration) { state in
        let found = state.tokens.filter { $0.value.id == id }
        for digest in found.keys { state.tokens[digest] = nil }
        return !found.isEmpty
      }
    },
    clients: { configuration in
      let state = try DoorStore.change(configuration) { $0 }
      return state.clients.values.filter { $0.revokedUntil == nil }.sorted { $0.shortID < $1.shortID }.map { client in
        let consents = state.grants.values.filter { $0.client == client.id }.sorted { $0.created < $1.created }
        return Client(
          id: client.shortID, name: client.name, kind: client.kind.rawValue,
          consents: consents.map { ($0.scopes.text, $0.handle) }, lastUse: client.lastUse)
      }
    },
    revokeClient: { configuration, id in
      let time = now()
      return try DoorStore.change(configuration) { state in
        let found = state.clients.values.filter { $0.shortID == id && $0.revokedUntil == nil }
        for client in found { state.revoke(client: client.id, now: time, AuthState.Lifetimes()) }
        return !found.isEmpty
      }
    })

  private static func now() -> WallTime {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return WallTime(time.tv_sec) * 1000 + WallTime(time.tv_nsec) / 1_000_000
  }
}

extension DoorKeys.Token {
  fileprivate init(_ record: TokenRecord) {
    self.init(
      id: record.id, name: record.name, scopes: record.scopes.text, handle: record.handle, created: record.created,
      expires: record.expires)
  }
}
