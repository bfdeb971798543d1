import ParleyMCP
import ParleyRuntime
import Testing

@testable import ParleyRemote

/// Who is the same for the tool sets of other systems.
@Suite struct GuestTests {
  private static var offer: StdioServer.Offer {
    var compat = CompatOptions()
    compat.chatroom = Chatroom.Options()
    return .standard(compat: compat)
  }

  /// A client may register anew whenever it likes; a token is made for one program.
  @Test func consentsForOneHandleAreOneAndTokensAreTheirOwn() throws {
    try OAuthWorld.use(offer: Self.offer) { door async throws in
      func fails(_ tool: String, _ arguments: JSONValue, _ token: String) async throws -> Bool {
        let response = try await door.call(tool, arguments, token: token)
        let result = try #require(response.message?["result"], "\(response.text)")
        return result["isError"]?.bool == true
      }
      let (first, second) = (try await door.login(), try await door.login())
      #expect(first.client != second.client)
      #expect(try await fails("join", ["name": "planner"], first.access) == false)
      let words: JSONValue = ["name": "planner", "content": "hello"]
      #expect(try await fails("send_message", words, first.access) == false)
      #expect(try await fails("send_message", words, second.access) == false)
      #expect(try await fails("send_message", words, try await door.login(handle: "bob").access))
      let secret = Secret.token.make()
      let record = TokenRecord(
        id: Secret.makeID(), name: "ci", scopes: .usual, handle: Handle("ada"), created: 0, expires: nil)
      try door.store.changeNow { $0.tokens[Secret.digest(secret)] = record }
      #expect(try await fails("send_message", words, secret))
    }
  }
}
