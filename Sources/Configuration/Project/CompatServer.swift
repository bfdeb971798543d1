import ParleyRuntime

/// The other Parley that the environment names for agents whose instructions know another system's variables.
struct CompatServer: Hashable, Sendable {
  /// The variable that named it.
  let variable: String
  let url: String
  let token: String?
  /// Where a key is kept that it gives to everybody, and under which label that is asked for.
  let keyFile: String?
  let label: String?

  /// `BROKER_URL` under the tool set duo, `BACKCHANNEL_BASE_URL` under backchannel; nil where neither is set.
  init?(_ sets: [String], in surroundings: Surroundings) {
    if sets.contains("duo"), let url = surroundings["BROKER_URL"] {
      (variable, self.url, token) = ("BROKER_URL", url, surroundings["PARTNER_KEY"])
      (keyFile, label) = (nil, nil)
    } else if sets.contains("backchannel"), let url = surroundings["BACKCHANNEL_BASE_URL"] {
      (variable, self.url, token) = ("BACKCHANNEL_BASE_URL", url, surroundings["BACKCHANNEL_API_KEY"])
      let folder = surroundings["XDG_CONFIG_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
      keyFile = (folder ?? surroundings.home + "/.config") + "/backchannel/key"
      let named = surroundings["BACKCHANNEL_AGENT_LABEL"]
      label = String((named ?? "mcp-\(FileSystem.hostName)-\(FileSystem.processID)").prefix(128))
    } else {
      return nil
    }
  }
}
