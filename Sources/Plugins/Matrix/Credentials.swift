import ParleyRuntime

/// What proves the account to the homeserver, as it is kept between processes.
struct Credentials: Hashable, Sendable {
  var userID: String
  var deviceID: String?
  var accessToken: String
  var refreshToken: String?
  /// Tells which homeserver and configured secret they came from, so that a changed configuration counts.
  var origin: String

  /// The token file's content; nil where it holds none for this origin.
  init?(_ text: [UInt8], origin: String) {
    guard let json = try? JSONValue(parsing: text), json["origin"]?.string == origin,
      let user = json["user_id"]?.string, let token = json["access_token"]?.string
    else { return nil }
    self.init(
      userID: user, deviceID: json["device_id"]?.string, accessToken: token,
      refreshToken: json["refresh_token"]?.string, origin: origin)
  }

  init(userID: String, deviceID: String?, accessToken: String, refreshToken: String?, origin: String) {
    self.userID = userID
    self.deviceID = deviceID
    self.accessToken = accessToken
    self.refreshToken = refreshToken
    self.origin = origin
  }

  /// What the token file holds.
  var text: [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("origin", origin)
    writer.member("user_id", userID)
    if let deviceID { writer.member("device_id", deviceID) }
    writer.member("access_token", accessToken)
    if let refreshToken { writer.member("refresh_token", refreshToken) }
    writer.endObject()
    writer.endLine()
    return writer.bytes
  }

  /// Names the homeserver and the configured secret without telling the secret.
  static func origin(of options: MatrixOptions) -> String {
    let secret =
      switch options.login {
      case .password(let user, _): "password\u{1f}\(user)"
      case .token(let access, let refresh): "token\u{1f}\(access)\u{1f}\(refresh ?? "")"
      }
    return SHA256.hexadecimal("\(options.homeserver)\u{1f}\(secret)", digits: 32)
  }
}
