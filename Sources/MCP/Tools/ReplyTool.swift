import ParleyRuntime

/// `parley_reply`: stores a message in the topic that another came from. What it does is what `parley_post` does.
package struct ReplyTool: ReplyingTool {
  package let name = "parley_reply"

  package init() {}

  package func definition(for hub: Hub.Setup) -> String {
    ToolDefinition(
      name: name, title: "Reply to a message",
      description: "Reply into the topic a message came from (a <channel> event's `topic`), with its id as "
        + "`in_reply_to`. Text in your own conversation does not reach its sender."
        + TopicNames.sentence("Subscribed", hub, withPatterns: false),
      // Never an enum: the topic is copied from an event, and an odd one shall get our own clear error.
      effects: .init(), input: Posting.input(topic: Schema.string), inputRequired: Posting.required,
      output: Posting.output, outputRequired: Posting.outputRequired
    ).text
  }

  package func call(
    _ arguments: JSONSlice, in context: CallContext, reply: @escaping @Sendable (ToolOutcome) -> Void
  ) {
    Posting.call(arguments, in: context, reply: reply)
  }
}
