import ParleyRuntime

/// The person of a demo, and the account by which others see them.
struct DemoGuest: Sendable {
  let person: any DemoPerson
  let account: String

  /// What agents call the person: the account's name without its server.
  var handle: String { DemoPeople.handle(of: account) }
}

extension DemoStory {
  /// Logs the person in, where the place has people; nil where it has none.
  func invite() async -> Result<DemoGuest?, SeamError> {
    guard let guest = folder.place.guest else { return .success(nil) }
    let person = guest.make(loop)
    do throws(SeamError) {
      let account = try await person.logIn(deadline: deadline)
      say("\(account): logged in with a client of the server's own protocol, without Parley.")
      return .success(DemoGuest(person: person, account: account))
    } catch {
      await person.leave()
      return .failure(error)
    }
  }

  /// The person comes into the room, reads what was said, answers, and is answered.
  func hear(_ guest: DemoGuest, _ planner: AgentProcess, _ builder: AgentProcess) async -> Bool {
    do throws(SeamError) {
      try await guest.person.enter(Topic(topic), deadline: deadline)
      say("")
      say("\(guest.account) enters the room, and reads:")
      _ = try await read(guest)
      let built = try await read(guest)
      let thanks = "@planner @builder looks good to me. Please tag it."
      let posted = loop.now
      try await guest.person.say(thanks, inReplyTo: built, deadline: deadline)
      for (name, agent) in [("planner", planner), ("builder", builder)] {
        guard let push = await agent.nextPush() else {
          output.note("\(name): what the person said was not pushed")
          return false
        }
        guard push.params.member("content")?.string == thanks,
          push.params.member("meta")?.member("in_reply_to")?.string == built.id
        else {
          output.note("\(name): something else than the person's answer was pushed: \(JSONValue(push.params).text)")
          return false
        }
        if name == "planner" {
          say("\(guest.account)  replies in that client")
          say("    \"\(thanks)\"")
        }
        say("    pushed to \(name)'s process after \(milliseconds(posted, push.at))")
        step("pushed", of: name, took: posted.duration(to: push.at))
      }
      return try await tell(guest, planner)
    } catch {
      output.note("\(guest.account): \(error)")
      return false
    }
  }

  /// The agent's last word, on the person's screen.
  private func tell(_ guest: DemoGuest, _ planner: AgentProcess) async throws(SeamError) -> Bool {
    let posted = loop.now
    let content = "@\(guest.handle) tagged as v1.0"
    guard await planner.call("parley_post", ["topic": .string(topic), "content": .string(content)]) != nil else {
      output.note("planner: parley_post failed")
      return false
    }
    say("\(guest.account) reads:")
    let line = try await read(guest)
    step("shown", of: guest.account, took: posted.duration(to: loop.now))
    return line.text.contains("tagged as v1.0")
  }

  /// Shows the next line of the person's client.
  private func read(_ guest: DemoGuest) async throws(SeamError) -> DemoLine {
    let line = try await guest.person.nextLine(deadline: deadline)
    say("    | \(VisibleText.visible(line.sender)): \(VisibleText.visible(line.text))")
    return line
  }
}
