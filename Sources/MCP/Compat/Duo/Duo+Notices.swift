import ParleyCoordination
import ParleyRuntime

extension Duo {
  /// The setting in the partner's own topic that turns notices off.
  private static let setting = "duo.notices"
  private static let off = "off"

  /// Whether what is unread is told in the project's instruction file.
  func setNotices(_ isOn: Bool) async throws(Refusal) -> String {
    let seat = try await seated()
    try await refusing { () throws(HubError) in try await seat.own.set(Self.setting, to: isOn ? nil : Self.off) }
    changes.resumeAll(())
    guard options.noticeFolder != nil else {
      return
        "Notifications are \(isOn ? "on" : "off"), but no file is written: compat_options.duo.notify_file is not set."
    }
    return "Notifications are \(isOn ? "on" : "off")."
  }

  /// Keeps the section of the project's file as it should be, until the task is cancelled; nothing where there is none.
  func keepNotices() async {
    guard let folder = options.noticeFolder else { return }
    let file = NoticeFileHandle(folder: folder, name: "CLAUDE.md")
    var written: [DuoNotice.Item]?
    while !Task.isCancelled {
      let ticket = changes.ticket()
      let items = await notices()
      if let items, items != written {
        let failure = await change(file, items)
        if let failure { Log.write(.warning, "CLAUDE.md was left as it is", [("cause", "\(failure)")]) }
        // Somebody else wrote at the same time: once more, a little later.
        if failure == .changed {
          changes.forget(ticket)
          await loop.sleep(for: .seconds(1))
          continue
        }
        written = items
      }
      if case .cancelled = await changes.wait(ticket, until: nil) { return }
    }
  }

  /// Off the loop, since a disk may take its time.
  private func change(_ file: NoticeFileHandle, _ items: [DuoNotice.Item]) async -> NoticeFileHandle.Failure? {
    do throws(SystemError) {
      let outcome = try await loop.offload(named: "duo-notice", until: nil) { () -> NoticeFileHandle.Failure? in
        do throws(NoticeFileHandle.Failure) {
          try file.change { DuoNotice.apply(items, to: $0) }
          return nil
        } catch {
          return error
        }
      }
      if case .value(let failure) = outcome { return failure }
      return nil
    } catch {
      return .system(error)
    }
  }

  /// What the section should say; nil where that cannot be known now.
  private func notices() async -> [DuoNotice.Item]? {
    do throws(Refusal) {
      let seat = try await seated()
      guard await seat.own.state.settings[Self.setting] != Self.off else { return [] }
      // Who listens gets it at once.
      guard !isAnnounced else { return [] }
      return try await unread(seat).flatMap { news in
        news.messages.map { message in
          DuoNotice.Item(
            sender: message.sender.name,
            conversation: news.conversation.state.isDirect ? nil : news.conversation.topic.name,
            at: message.storedAt, text: message.content)
        }
      }
    } catch {
      return nil
    }
  }
}
