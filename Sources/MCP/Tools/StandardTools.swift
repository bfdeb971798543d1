/// The tools that every session offers, in the order in which clients list them.
package enum StandardTools {
  /// `parley_list_users` joins them when there is presence.
  package static let all: [any Tool] = [FetchRecentTool(), PostTool(), ReplyTool(), WaitTool(), StatusTool()]
}
