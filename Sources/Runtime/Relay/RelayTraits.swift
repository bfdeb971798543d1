extension JSONWriter {
  /// Writes what a backend can do, for whoever is to stand for it elsewhere.
  package mutating func relay(_ traits: BackendTraits) {
    beginObject()
    member("version", Int64(RelayWire.version))
    member("name", traits.name)
    member("durability", traits.durability.description)
    member("contentLimit", traits.contentLimit.map { Int64($0) })
    member("authenticatesSenders", traits.authenticatesSenders)
    if case .atLeast(let window) = traits.keyWindow { member("keyWindowMs", window.milliseconds) }
    member("timeResolutionMs", traits.timeResolution.milliseconds)
    member("retentionMs", traits.retention?.milliseconds)
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
    guard json.member("version")?.int == Int64(RelayWire.version), let base = json.member("name")?.string,
      let durability = json.member("durability")?.string.flatMap(Durability.init(relayed:)),
      let resolution = json.member("timeResolutionMs")?.int
    else { return nil }
    self.init(
      name: "parley", location: location, durability: durability,
      contentLimit: json.member("contentLimit")?.int.flatMap(Int.init(exactly:)),
      authenticatesSenders: json.member("authenticatesSenders")?.bool == true,
      keyWindow: json.member("keyWindowMs")?.int.map { KeyWindow.atLeast(.milliseconds($0)) } ?? .always,
      timeResolution: .milliseconds(max(1, resolution)),
      retention: json.member("retentionMs")?.int.map { .milliseconds($0) },
      notes: ["the other end keeps the conversation on \(base)"]
        + (json.member("notes").map { $0.elements.compactMap(\.string) } ?? []))
  }
}
