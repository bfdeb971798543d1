import ParleyCoordination
import ParleyRuntime

/// MCP over standard input and output: one session, from start to the end of input, a signal or the parent's death.
package actor StdioServer: LoopActor {
  /// What a server is, and how its session starts.
  package struct Options: Sendable {
    /// What clients see as the server's name and version.
    package var name = "parley"
    package var version: String
    /// What is pushed; nil where live push is off.
    package var livePush: LivePush?
    /// What happens to messages that came before the start.
    package var catchUp = CatchUp()
    /// Marks to take over from another program, once, where the participant has none yet.
    package var importMarks: [Topic: Cursor]?

    package init(version: String) { self.version = version }
  }

  /// Which messages are pushed.
  package struct LivePush: Sendable {
    /// Only what mentions the handle, or is directed to it.
    package var mentionFilter = false
    /// Only what these handles sent; nil for everyone.
    package var from: Set<Handle>?

    package init(mentionFilter: Bool = false, from: Set<Handle>? = nil) {
      self.mentionFilter = mentionFilter
      self.from = from
    }
  }

  /// What happens to messages that came before the start.
  package struct CatchUp: Sendable {
    /// They are counted and, with live push, pushed; otherwise the session begins now.
    package var onStart = true
    /// At most this many are pushed.
    package var limit = 100

    package init(onStart: Bool = true, limit: Int = 100) {
      self.onStart = onStart
      self.limit = limit
    }
  }

  /// What a session offers.
  package struct Offer: Sendable {
    package var tools: [any Tool]
    package var resources: (any ResourceProvider)?
    package var prompts: (any PromptProvider)?

    package init(
      tools: [any Tool], resources: (any ResourceProvider)? = nil, prompts: (any PromptProvider)? = nil
    ) {
      self.tools = tools
      self.resources = resources
      self.prompts = prompts
    }
  }

  package nonisolated let loop: EventLoop

  /// Makes a server on the supervisor's loop; throws `badArgument` when a topic pattern does not compile.
  package init(hub setup: Hub.Setup, supervisor: Supervisor, offer: Offer, options: Options) throws(HubError) {
    loop = supervisor.loop
  }

  /// Serves until the end of input, SIGINT, SIGTERM, SIGHUP or the parent's death, then ends within a second.
  ///
  /// Runs the supervisor too. Throws when descriptors 0 and 1 cannot be used.
  package func run() async throws(SystemError) {}
}
