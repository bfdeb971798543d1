import ParleyCoordination
import ParleyRuntime

extension Duo {
  /// The setting in the partner's own topic that turns notices off.
  private static let setting = "duo.notices"
  private static let off = "off"

  /// Whether what is unread is told in the project's instruction file; true where there is such a file.
  func setNotices(_ isOn: Bool) async throws(Refusal) -> Bool {
    let seat = try await seated()
    try await refusing { () throws(HubError) in try await seat.own.set(Self.setting, to: isOn ? nil : Self.off) }
    let place = isOn ? await register(seat) : await withdraw(seat)
    try await tell {
      $0.isNotified = isOn
      $0.place = place
    }
    changes.resumeAll(())
    return options.noticeFolder != nil
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
        // First, so that a sender who goes on with the section knows all of it.
        if let seat { await noteUnread(items, seat) }
        let done = await onDisk { () throws(NoticeFileHandle.Failure) in
          try file.change { DuoNotice.apply(items, to: $0) }
        }
        if case .failure(let failure) = done {
          Log.write(.warning, "CLAUDE.md was left as it is", [("cause", "\(failure)")])
          // Somebody else wrote at the same time: once more, a little later.
          if failure == .changed {
            changes.forget(ticket)
            await loop.sleep(for: .seconds(1))
            continue
          }
        }
        written = items
      }
      if case .cancelled = await changes.wait(ticket, until: nil) { return }
    }
  }

  /// Off the loop, since a disk may take its time.
  private func onDisk<Value: Sendable>(
    _ work: @escaping @Sendable () throws(NoticeFileHandle.Failure) -> Value
  ) async -> Result<Value, NoticeFileHandle.Failure> {
    do throws(SystemError) {
      let outcome = try await loop.offload(named: "duo-notice", until: nil) {
        () -> Result<Value, NoticeFileHandle.Failure> in
        do throws(NoticeFileHandle.Failure) { return .success(try work()) } catch { return .failure(error) }
      }
      if case .value(let result) = outcome { return result }
      return .failure(.changed)
    } catch {
      return .failure(.system(error))
    }
  }

  /// What the section should say; nil where that cannot be known now.
  private func notices() async -> [DuoNotice.Item]? {
    do throws(Refusal) {
      // Who was unregistered is not registered again by looking.
      let seat = if let seat { seat } else { try await seated() }
      guard await seat.own.state.settings[Self.setting] != Self.off else { return [] }
      // Who listens gets it at once.
      guard !isAnnounced else { return [] }
      return try await unread(seat).flatMap { news in
        news.messages.map { message in
          DuoNotice.Item(
            message: message.id.text, sender: message.sender.name,
            conversation: news.conversation.state.isDirect ? nil : news.conversation.topic.name,
            at: message.storedAt, text: message.content)
        }
      }
    } catch {
      return nil
    }
  }

  // MARK: While the partner is away

  /// The place where senders of the same user may leave word, as the settings have it; nil for none.
  func place(for seat: Seat) async -> (isNotified: Bool, place: String?) {
    let isOn = await seat.own.state.settings[Self.setting] != Self.off
    return (isOn, isOn ? await register(seat) : await withdraw(seat))
  }

  private func register(_ seat: Seat) async -> String? {
    guard let folder = options.noticeFolder, let registry else { return await withdraw(seat) }
    switch await onDisk({ () throws(NoticeFileHandle.Failure) in try registry.register(seat.id, folder: folder) }) {
    case .success(let place): return place
    case .failure(let failure):
      Log.write(.warning, "senders cannot leave word while this partner is away", [("cause", "\(failure)")])
      return nil
    }
  }

  /// Nobody else writes for this partner any more, in this folder.
  private func withdraw(_ seat: Seat) async -> String? {
    guard let registry else { return nil }
    let folder = options.folder
    _ = await onDisk { () throws(NoticeFileHandle.Failure) in try registry.withdraw(seat.id, folder: folder) }
    return nil
  }

  private func noteUnread(_ items: [DuoNotice.Item], _ seat: Seat) async {
    guard let folder = options.noticeFolder, let registry else { return }
    _ = await onDisk { () throws(NoticeFileHandle.Failure) in
      try registry.note(items, of: seat.id, folder: folder)
    }
  }

  /// Tells a partner that is away of a message, where it said that it wants that.
  func leaveWord(_ item: DuoNotice.Item, for partner: PartnerFold.Partner?) async {
    guard let registry, let partner, let place = partner.card.place else { return }
    let told = await onDisk { () throws(NoticeFileHandle.Failure) in
      try registry.tell(partner.id, at: place, of: item)
    }
    if case .failure(let failure) = told {
      Log.write(.info, "a partner's CLAUDE.md was left as it is", [("partner", partner.id), ("cause", "\(failure)")])
    }
  }

  private var registry: NoticeRegistry? { options.noticeRegistry.map(NoticeRegistry.init) }
}
