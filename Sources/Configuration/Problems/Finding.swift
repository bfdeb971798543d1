/// What is wrong with a configuration; `ConfigurationProblem` adds where, `Finding+Text` says it.
package enum Finding: Hashable, Sendable {
  /// Where a secret stands that should not stand there.
  package enum Exposure: Hashable, Sendable {
    case gitTracked
    case worldReadable
  }

  // The file as a whole.
  case unreadable(reason: String)
  case syntax(reason: String)
  case malformedEnvironmentLine

  // One key, by its setting.
  case unknownKey(among: [String])
  case missing
  case wrongType(expected: String, found: String)
  case outOfRange(value: String, allowed: String)
  case notAChoice(value: String, among: [String])
  case empty
  case tooFew(count: Int, minimum: Int)
  case unsetVariable(String)
  case malformedVariable
  case secretGivenTwice(fileKey: String)
  case unreadableSecret(path: String, reason: String)

  // Rules.
  case unknownBackend(String, among: [String], sibling: String? = nil)
  case presenceTopicListed(String)
  case reservedTopic(String)
  case tooManyTopics(count: Int, limit: Int)
  case tooLong(bytes: Int, limit: Int, limitKey: String)
  case controlCharacter
  case reservedHandle(String)
  case invalidRegex(reason: String)
  case lifetimeBelowHeartbeat
  case skipPermissions
  case oidcBlockMissing
  case oidcGateMissing
  case notAURL
  case insecureIssuer
  case notAPublicAddress(String)
  case notAListeningPlace(String)
  case notAnAddressRange(String)
  case notAHostName(String)
  case notAnOrigin(String)
  case notAHookName(String)
  case shortToken(bytes: Int)
  case sessionsWithoutNames

  // Without a configuration.
  case stateDirectory(path: String, reason: String)
  case handlesTaken(String, tried: Int)

  // Warnings.
  case exposedSecret(Exposure, file: String)
  case repeatedTopic(String)
}
