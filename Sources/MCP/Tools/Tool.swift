import ParleyCoordination
import ParleyRuntime

/// One MCP tool: its definition as clients see it, and what it does.
package protocol Tool: Sendable {
  /// The name clients call, for example `parley_post`.
  var name: String { get }

  /// The whole entry of `tools/list` as one JSON object (name, title, description, annotations, inputSchema,
  /// outputSchema), made once: deterministic, so clients may cache it.
  func definition(for hub: Hub.Setup) -> String

  /// It posts nothing in anybody's name, so that whoever may only read may call it; false unless a tool says so.
  var onlyReads: Bool { get }

  /// Carries out a call. Cancelling the task ends a waiting call at once. `arguments` is an object (possibly empty).
  ///
  /// It runs as part of the session that calls it: everything shares the loop, so that a hop would only cost.
  nonisolated(nonsending) func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome
}

extension Tool {
  package var onlyReads: Bool { false }
}

/// A tool whose work is one hand-over to the backend: it answers without a task, and cannot be cancelled.
package protocol ReplyingTool: Tool {
  /// Whether a call with these arguments is such a hand-over; others run as those of any tool do.
  func repliesAtOnce(_ arguments: JSONSlice) -> Bool

  /// Carries out a call on the loop; `reply` is called once, on the loop, perhaps before this returns.
  func call(_ arguments: JSONSlice, in context: CallContext, reply: @escaping @Sendable (ToolOutcome) -> Void)
}

extension ReplyingTool {
  package func repliesAtOnce(_ arguments: JSONSlice) -> Bool { true }

  package nonisolated(nonsending) func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    await reply(to: arguments, in: context)
  }

  /// The reply, for callers that wait.
  nonisolated(nonsending) func reply(to arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    // What the loop executes is no part of this task.
    let trace = TraceContext.current
    return await withCheckedContinuation { continuation in
      context.hub.loop.execute {
        TraceContext.during(trace) { call(arguments, in: context) { continuation.resume(returning: $0) } }
      }
    }
  }
}

/// What a call brought.
package enum ToolOutcome: Sendable {
  /// The members of the structured result, as JSON without the enclosing braces (the session adds `unread` and them).
  case success(members: [UInt8])
  /// The call failed, or its arguments are wrong: told to the client as a result with `isError`.
  case failure(HubError)
  /// A result in the shape of another system, as it is.
  case content(ToolContent)
}

/// A result whose shape is another system's.
package struct ToolContent: Sendable {
  /// The text blocks.
  package var blocks: [String]
  /// The structured result, a whole JSON object; nil where there is none.
  package var structured: [UInt8]?
  /// The result is an error with this stable code.
  package var errorCode: String?

  package init(blocks: [String], structured: [UInt8]? = nil, errorCode: String? = nil) {
    self.blocks = blocks
    self.structured = structured
    self.errorCode = errorCode
  }
}

/// What a tool, resource or prompt may use of the session and call it runs in.
package final class CallContext: Sendable {
  /// Posting and fetching under the participant's rules.
  package let hub: Hub
  /// The session's unread counts and waiting place.
  package let inbox: Inbox
  /// The states that the participant's sessions share.
  package let coordination: Coordination
  /// Reports progress of this call to a client that asked for it: done so far, total if known, and a line of text.
  package let progress: @Sendable (Double, Double?, String?) -> Void
  /// The client asked for progress: where it did not, nobody need be told that a call still waits.
  let isReporting: Bool

  package init(
    hub: Hub, inbox: Inbox, coordination: Coordination, isReporting: Bool = true,
    progress: @escaping @Sendable (Double, Double?, String?) -> Void
  ) {
    self.hub = hub
    self.inbox = inbox
    self.coordination = coordination
    self.progress = progress
    self.isReporting = isReporting
  }

  package var marks: ReadMarks { coordination.marks }
  package var tasks: Tasks { coordination.tasks }
  package var conversations: Conversations { coordination.conversations }
}
