import ParleyRuntime

/// How `demo` runs where people have clients and accounts of their own: what its agents are configured with, and one
/// person who takes part.
public struct DemoPeople: Sendable {
  /// The `backend_config` of the agents, without the password, which they find in the environment; the second value is
  /// the person's account as the server names it, to be invited.
  public let configuration: @Sendable (DemoAccounts, _ guest: String) -> JSONObject
  /// Makes the person, who is not connected yet.
  public let person: @Sendable (EventLoop, DemoAccounts, _ password: String) -> any DemoPerson

  /// Makes the two.
  public init(
    configuration: @escaping @Sendable (DemoAccounts, _ guest: String) -> JSONObject,
    person: @escaping @Sendable (EventLoop, DemoAccounts, _ password: String) -> any DemoPerson
  ) {
    self.configuration = configuration
    self.person = person
  }

  /// The name in an account, without its server: of `@ada:chat.test` or `ada@chat.test`, `ada`.
  public static func handle(of account: String) -> String {
    String(account.drop { $0 == "@" }.prefix { $0 != ":" && $0 != "@" })
  }
}

/// The server of a demo and who has an account there, as the command line names them.
public struct DemoAccounts: Hashable, Sendable {
  /// The server's address; nil for the backend's own default.
  public let url: String?
  /// The account that the agents share.
  public let agents: String
  /// The person's account.
  public let person: String
  /// A PEM file of authorities to trust instead of the system's.
  public let authorities: String?
}

/// A person at a chat client, who speaks the server's own protocol and knows nothing of Parley.
///
/// Called in this order: `logIn`, `enter`, then `nextLine` and `say` as the talk goes, `leave`.
public protocol DemoPerson: LoopActor {
  /// Logs in, and returns the account as others see it.
  func logIn(deadline: LoopInstant) async throws(SeamError) -> String
  /// Enters the room of a topic, which the agents have made by now, and to which they invited the person.
  func enter(_ topic: Topic, deadline: LoopInstant) async throws(SeamError)
  /// The next message of somebody else that the client shows, from the topic's beginning on.
  func nextLine(deadline: LoopInstant) async throws(SeamError) -> DemoLine
  /// Writes into the room, as an answer to a message.
  func say(_ text: String, inReplyTo line: DemoLine, deadline: LoopInstant) async throws(SeamError)
  /// Logs out; the server forgets the session.
  func leave() async
}

/// A message as a chat client has it.
public struct DemoLine: Hashable, Sendable {
  /// The id that an answer names.
  public let id: String
  /// Who wrote it, as the client shows it beside the text.
  public let sender: String
  /// What the client shows.
  public let text: String

  /// Makes a line.
  public init(id: String, sender: String, text: String) {
    self.id = id
    self.sender = sender
    self.text = text
  }
}
