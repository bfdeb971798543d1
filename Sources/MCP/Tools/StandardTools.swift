/// The tools that every session offers, in the order in which clients list them.
package enum StandardTools {
  package static let all: [any Tool] = [
    FetchRecentTool(), PostTool(), ReplyTool(), ListUsersTool(), WaitTool(), StatusTool(),
    TaskPostTool(), TaskClaimTool(), TaskUpdateTool(),
  ]
}
