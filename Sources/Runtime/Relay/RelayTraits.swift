extension JSONWriter {
  /// Writes what a backend can do, for whoever is to stand for it elsewhere.
  package mutating func relay(_ traits: BackendTraits) {
    beginObject()
    relayMember("version", Int64(RelayWire.version))
    relayMember("name", traits.name)
    relayMember("durability", traits.durability.description)
    relayMember("contentLimit", traits.contentLimit.map { Int64($0) })
    relayMember("authenticatesSenders", traits.authenticatesSenders)
    if case .atLeast(let window) = traits.keyWindow { relayMember("keyWindowMs", window.milliseconds) }
    relayMember("timeResolutionMs", traits.timeResolution.milliseconds)
    relayMember("retentionMs", traits.retention?.milliseconds)
    key("notes")
    beginArray()
    for note in traits.notes { string(note) }
    endArray()
    endObject()
  }
}

extension BackendTraits {
  /// Reads what `relay` wrote, as the traits of a backend at `location`; nil for another version's.
  package init?(relayed json: JSONSlice, location: String) {
    guard json.relayNumber("version") == Int64(RelayWire.version), let base = json.relayText("name"),
      let durability = json.relayText("durability").flatMap(Durability.init(relayed:)),
      let resolution = json.relayNumber("timeResolutionMs")
    else { return nil }
    self.init(
      name: "parley", location: location, durability: durability,
      contentLimit: json.relayNumber("contentLimit").flatMap(Int.init(exactly:)),
      authenticatesSenders: json.relayFlag("authenticatesSenders"),
      keyWindow: json.relayNumber("keyWindowMs").map { KeyWindow.atLeast(.milliseconds($0)) } ?? .always,
      timeResolution: .milliseconds(max(1, resolution)),
      retention: json.relayNumber("retentionMs").map { .milliseconds($0) },
      notes: ["the other end keeps the conversation on \(base)"]
        + (json.member("notes").map { $0.elements.compactMap(\.string) } ?? []))
  }
}
