import ParleyCoordination
import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// Makes the server's side of an encrypted connection; nil where memory is short.
package typealias CipherMaker = @Sendable () -> (any StreamCipher)?

/// What the HTTP door serves, where, and to whom.
package struct DoorOptions: Sendable {
  /// What clients see as the server's name and version.
  package var name = "parley"
  package var version: String
  /// Where it listens, at least one place.
  package var endpoints: [Endpoint]
  package var access = AccessRules()
  /// Origins of pages, in lower case, that may call as programs do and read the answers; they are let in by `access` too.
  package var pages: Set<String> = []
  package var authenticator: any Authenticator
  /// The built-in authorization server and its records; nil where there is none.
  package var authorization: (store: any AuthStore, options: AuthorizationOptions)?
  /// How the owner's passphrase is asked for.
  package var owner = OwnerOptions()
  /// Pages for the owner's browser; nil where there are none.
  package var console: ConsoleOptions?
  /// The documents by which clients find out how to be let in; nil where they are told a token.
  package var metadata: OAuthMetadata?
  /// What was opened by a token ends so long after that was revoked.
  package var revocationInterval: Duration = .seconds(5)
  /// Incoming webhooks, and where what came is remembered.
  package var hooks: (list: [Hook], store: any AuthStore)?
  /// Where the Duo broker listens, and what the partners behind it are like; nil where there is none.
  package var broker: (endpoint: Endpoint, partner: Duo.Options)?
  /// Where keys go that agents get for themselves; nil where nobody does.
  package var keys: (any AuthStore)?
  /// What is counted; the backend counts into the same.
  package var metrics = DoorMetrics()
  package var limits = ServerLimits()
  /// Makes what encrypts a connection; nil where connections are clear.
  package var makeCipher: CipherMaker?
  /// Reads the certificate's files anew, when a signal asks for it; may block.
  package var loadCipher: (@Sendable () -> Result<CipherMaker, SeamError>)?
  /// What is pushed to sessions that hold a stream open; nil where live push is off.
  package var livePush: StdioServer.LivePush?
  /// What happens to messages that came before a session.
  package var catchUp = StdioServer.CatchUp()
  /// How handles are announced while somebody uses them; nil where they are not.
  package var presence: Presence.Options?
  /// A handle is there so long after its last request.
  package var presenceLingering: Duration = .seconds(300)
  /// Marks to take over from another program, once, where the participant has none yet.
  package var importMarks: [Topic: Cursor]?
  /// Sessions of callers without a handle post under the names that they have among agents, while they have one.
  package var namesSessions = false
  /// Sessions in all.
  package var sessions = 1_000
  /// A session without a request and without an open stream ends after so long.
  package var sessionIdleTime: Duration = .seconds(1_800)
  /// A stream that has nothing to say says so this often, so that nobody between takes it for dead.
  package var keepAlive: Duration = .seconds(30)
  /// After the signal to end, what is under way has so long.
  package var drainTime: Duration = .milliseconds(4_500)

  package init(version: String, endpoints: [Endpoint], authenticator: any Authenticator) {
    self.version = version
    self.endpoints = endpoints
    self.authenticator = authenticator
  }
}
