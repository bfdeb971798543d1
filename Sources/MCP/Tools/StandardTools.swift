/// The tools that every session offers unless the configuration names some, in the order in which clients list them.
package enum StandardTools {
  package static let all: [any Tool] = [
    FetchRecentTool(), PostTool(), ReplyTool(), ListUsersTool(), WaitTool(), StatusTool(),
    TaskPostTool(), TaskClaimTool(), TaskUpdateTool(), HandOffTool(),
  ]

  /// Further tools, by the word under `tools:` that adds them.
  package static let further: [(name: String, tools: [any Tool])] = [("conversations", [ConversationTool()])]
}
