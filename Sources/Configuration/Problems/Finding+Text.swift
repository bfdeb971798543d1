/// Every error text of configuration.
extension Finding {
  /// What is wrong.
  package var message: String {
    switch self {
    case .unreadable(let reason): "cannot be read: \(reason)"
    case .syntax(let reason): "not YAML: \(reason)"
    case .malformedEnvironmentLine: "not an assignment"
    case .unknownKey: "unknown key"
    case .missing: "required, but missing"
    case .wrongType(let expected, let found): "must be \(expected), but is \(found)"
    case .outOfRange(let value, _): "\(value) is out of range"
    case .notAChoice(let value, _): "\(quoted(value)) is not one of the choices"
    case .empty: "must not be empty"
    case .tooFew(let count, let minimum):
      "must hold at least \(minimum) \(minimum == 1 ? "element" : "elements"), but holds \(count == 0 ? "none" : "\(count)")"
    case .unsetVariable(let name): "the environment variable \(name) is not set"
    case .malformedVariable: "a variable that does not end or has no valid name"
    case .secretGivenTwice(let fileKey): "given twice: here and as \(fileKey)"
    case .unreadableSecret(let path, let reason): "\(quoted(path)) cannot be read: \(reason)"
    case .unknownBackend(let name, _, let sibling):
      "this program does not carry the backend \(quoted(name))"
        + (sibling.map { ", and the one that carries more cannot be started (\($0))" } ?? "")
    case .presenceTopicListed(let topic):
      "\(quoted(topic)) is reserved for presence (presence.topic); rename the topic or change presence.topic"
    case .reservedTopic(let topic): "\(quoted(topic)) is a reserved name"
    case .tooManyTopics(let count, _): "\(count) topics are too many"
    case .tooLong(let bytes, let limit, _): "\(bytes) bytes long, over the limit of \(limit)"
    case .controlCharacter: "contains a control character"
    case .reservedHandle(let handle): "\(quoted(handle)) is nobody's name"
    case .invalidRegex(let reason): "invalid regex: \(reason)"
    case .lifetimeBelowHeartbeat:
      "presence.ttl_ms must be >= presence.heartbeat_ms; peers would appear offline between beats"
    case .skipPermissions: "true is refused outside a sandbox"
    case .oidcBlockMissing: "auth.mode \"oidc\" requires an auth.oidc block"
    case .oidcGateMissing: "lets in everyone the issuer knows: nothing restricts who may enter"
    case .notAURL: "not a URL"
    case .insecureIssuer: "an issuer is reached over https"
    case .notAPublicAddress(let text): "\(quoted(text)) is not the origin of a server"
    case .notAListeningPlace(let text): "\(quoted(text)) is no place to listen"
    case .notAnAddressRange(let text): "\(quoted(text)) is no address or range of addresses"
    case .notAHostName(let text): "\(quoted(text)) is no host name"
    case .notAnOrigin(let text): "\(quoted(text)) is no origin"
    case .notAHookName(let text): "\(quoted(text)) is no name of a hook"
    case .shortToken(let bytes): "\(bytes) bytes can be guessed"
    case .sessionsWithoutNames: "\"per_session\" needs the names that the tool set channels gives"
    case .stateDirectory(let path, let reason): "\(quoted(path)) cannot be used: \(reason)"
    case .handlesTaken(let handle, let tried): "\(handle) and \(tried - 1) numbered ones after it are all in use"
    case .exposedSecret(.gitTracked, let file): "a secret stands in \(file), which is tracked by git"
    case .exposedSecret(.worldReadable, let file): "a secret stands in \(file), which everyone on this machine can read"
    case .repeatedTopic(let topic): "\(quoted(topic)) is listed more than once"
    }
  }

  /// What would be right, where the message does not say it.
  package var allowed: String? {
    switch self {
    case .malformedEnvironmentLine: "NAME=value, NAME='value', NAME=\"value\" or # comment"
    case .unknownKey(let names): names.isEmpty ? "no keys" : names.joined(separator: ", ")
    case .outOfRange(_, let allowed): allowed
    case .notAChoice(_, let choices): choices.joined(separator: ", ")
    case .unsetVariable(let name): "set it, write it into .env beside this file, or give a default: ${\(name):-default}"
    case .malformedVariable: "${NAME}, ${NAME:-default}, or $$ for a dollar sign"
    case .wrongType(_, "null"): "a value, or no key at all for the default"
    case .unknownBackend(_, let names, _): names.isEmpty ? "none" : names.joined(separator: ", ")
    case .reservedTopic: "names that do not begin with @ or ~"
    case .tooManyTopics(_, let limit): "\(limit) (limits.topics_subscribed)"
    case .tooLong(_, _, let limitKey): "\(limitKey) sets the limit"
    case .controlCharacter: "text without control characters"
    case .reservedHandle: "a name that is not blank, and neither all nor system"
    case .skipPermissions: "false, or the environment variable PARLEY_SANDBOX=1 where the process cannot do harm"
    case .oidcGateMissing: "one or more of allowed_subjects, allowed_usernames, required_role"
    case .insecureIssuer: "an https URL; http only for the hosts 127.0.0.1 and localhost"
    case .notAPublicAddress: "https://host or https://host:port in lower case; http only for this machine"
    case .notAListeningPlace: "127.0.0.1:8808, [::1]:8808, unix:/path; hosts are numeric"
    case .notAnAddressRange: "10.0.0.0/8, fd00::/8, 192.0.2.1"
    case .notAHostName: "a name without scheme, port and path"
    case .notAnOrigin: "https://host or https://host:port"
    case .notAHookName: "1 to 64 of a-z, 0-9, - and _: it stands in the path /hooks/NAME"
    case .shortToken: "at least 16 bytes; for example what `openssl rand -hex 32` prints"
    case .sessionsWithoutNames: "\"shared\", or channels among those of compat"
    case .handlesTaken: "a parley.config.yaml with identity.handle"
    case .exposedSecret(.gitTracked, _): "${VARIABLE}, or a file that is named by the key with _file"
    case .exposedSecret(.worldReadable, _): "${VARIABLE}, a file that is named by the key with _file, or chmod 600"
    default: nil
    }
  }

  /// The candidates that a mistyped word may have meant.
  var candidates: [String] {
    switch self {
    case .unknownKey(let names), .notAChoice(_, let names), .unknownBackend(_, let names, _): names
    default: []
    }
  }
}

/// Text as it is shown in messages: quoted, control characters visible.
func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\n": result += "\\n"
    case "\t": result += "\\t"
    // Controls, line separators and those that turn the direction of text.
    case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}"..."\u{202E}", "\u{2066}"..."\u{2069}", "\u{FEFF}":
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
