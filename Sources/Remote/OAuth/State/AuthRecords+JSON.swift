import ParleyRuntime

/// One record as it is stored: its kind, its key and its members, as one JSON object.
package struct StoredRecord: Hashable, Sendable {
  var kind: String
  var key: String
  var members: JSONObject

  init(_ kind: String, _ key: String, _ members: JSONObject) {
    self.kind = kind
    self.key = key
    self.members = members
  }

  /// The JSON text, on one line.
  var text: String {
    var all: JSONObject = ["kind": .string(kind), "key": .string(key)]
    for (name, value) in members.members { all[name] = value }
    return JSONValue.object(all).text
  }

  init?(_ text: [UInt8]) {
    guard let value = try? JSONValue(parsing: text), let object = value.object, let kind = object["kind"]?.string,
      let key = object["key"]?.string
    else { return nil }
    self.init(kind, key, object)
  }

  subscript(name: String) -> String? { members[name]?.string }
  func time(_ name: String) -> WallTime? { members[name]?.int }
}

extension AuthState {
  /// All records, in an order that depends on nothing but them.
  package var records: [StoredRecord] {
    var all: [StoredRecord] = []
    if let owner { all.append(StoredRecord("owner", "", ["hash": .string(owner)])) }
    func add<Record>(_ kind: String, _ records: [String: Record], _ members: (Record) -> JSONObject) {
      for (key, record) in records.sorted(by: { $0.key < $1.key }) {
        all.append(StoredRecord(kind, key, members(record)))
      }
    }
    add("token", tokens) { token in
      var members: JSONObject = [
        "id": .string(token.id), "name": .string(token.name), "scopes": .string(token.scopes.text),
        "created": .int(token.created),
      ]
      if let handle = token.handle { members["handle"] = .string(handle.name) }
      if let expires = token.expires { members["expires"] = .int(expires) }
      return members
    }
    add("client", clients) { client in
      var members: JSONObject = [
        "short": .string(client.shortID), "name": .string(client.name), "how": .string(client.kind.rawValue),
        "created": .int(client.created), "lastUse": .int(client.lastUse),
      ]
      if let until = client.revokedUntil { members["revokedUntil"] = .int(until) }
      return members
    }
    add("grant", grants) { grant in
      [
        "client": .string(grant.client), "scopes": .string(grant.scopes.text), "handle": .string(grant.handle.name),
        "resource": .string(grant.resource), "created": .int(grant.created),
      ]
    }
    add("code", codes) { code in
      [
        "grant": .string(code.grant), "redirect": .string(code.redirectURI), "challenge": .string(code.challenge),
        "expires": .int(code.expires), "used": .bool(code.isUsed),
      ]
    }
    add("access", access) { token in
      ["grant": .string(token.grant), "scopes": .string(token.scopes.text), "expires": .int(token.expires)]
    }
    add("refresh", refresh) { token in
      var members: JSONObject = ["grant": .string(token.grant), "expires": .int(token.expires)]
      if let parent = token.parent { members["parent"] = .string(parent) }
      if let replaced = token.replaced { members["replaced"] = .int(replaced) }
      return members
    }
    add("delivery", deliveries) { ["until": .int($0)] }
    add("login", logins) { ["until": .int($0)] }
    return all
  }

  /// Puts a record in its place; false where it is none that this version knows.
  package mutating func take(_ record: StoredRecord) -> Bool {
    switch record.kind {
    case "owner":
      guard let hash = record["hash"] else { return false }
      owner = hash
    case "token":
      guard let id = record["id"], let name = record["name"], let scopes = record["scopes"].flatMap(Scopes.init),
        let created = record.time("created")
      else { return false }
      tokens[record.key] = TokenRecord(
        id: id, name: name, scopes: scopes, handle: record["handle"].map(Handle.init), created: created,
        expires: record.time("expires"))
    case "client":
      guard let short = record["short"], let name = record["name"],
        let kind = record["how"].flatMap(ClientKind.init), let created = record.time("created"),
        let lastUse = record.time("lastUse")
      else { return false }
      clients[record.key] = ClientRecord(
        id: record.key, shortID: short, name: name, kind: kind, created: created, lastUse: lastUse,
        revokedUntil: record.time("revokedUntil"))
    case "grant":
      guard let client = record["client"], let scopes = record["scopes"].flatMap(Scopes.init),
        let handle = record["handle"], let resource = record["resource"], let created = record.time("created")
      else { return false }
      grants[record.key] = GrantRecord(
        id: record.key, client: client, scopes: scopes, handle: Handle(handle), resource: resource, created: created)
    case "code":
      guard let grant = record["grant"], let redirect = record["redirect"], let challenge = record["challenge"],
        let expires = record.time("expires"), let isUsed = record.members["used"]?.bool
      else { return false }
      codes[record.key] = CodeRecord(
        grant: grant, redirectURI: redirect, challenge: challenge, expires: expires, isUsed: isUsed)
    case "access":
      guard let grant = record["grant"], let scopes = record["scopes"].flatMap(Scopes.init),
        let expires = record.time("expires")
      else { return false }
      access[record.key] = AccessRecord(grant: grant, scopes: scopes, expires: expires)
    case "refresh":
      guard let grant = record["grant"], let expires = record.time("expires") else { return false }
      refresh[record.key] = RefreshRecord(
        grant: grant, expires: expires, parent: record["parent"], replaced: record.time("replaced"))
    case "delivery":
      guard let until = record.time("until") else { return false }
      deliveries[record.key] = until
    case "login":
      guard let until = record.time("until") else { return false }
      logins[record.key] = until
    default: return false
    }
    return true
  }
}
