import ArgumentParser
import Glibc
import ParleyConfiguration
import ParleyRuntime

/// `parley owner`: whoever lets clients in by the consent page.
struct OwnerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "owner", abstract: "Set the passphrase with which you let clients in.",
    subcommands: [SetCommand.self])

  /// `parley owner set`.
  struct SetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set", abstract: "Set the owner's passphrase, asked for or read from standard input.",
      discussion: "At least 12 characters. Only its scrypt hash is kept. Clients that are let in already stay.")

    /// Shorter ones are guessed in spite of every limit.
    private static let shortest = 12
    private static let longest = 1024

    @OptionGroup var door: DoorOptions

    func run() throws {
      let (keys, configuration, output) = try door.open()
      let passphrase = try read()
      guard passphrase.count >= Self.shortest, passphrase.utf8.count <= Self.longest else {
        throw CommandFailure(
          .usage, code: "usage",
          "a passphrase has at least \(Self.shortest) characters and at most \(Self.longest) bytes")
      }
      try keys.setOwner(configuration, passphrase)
      output.line("the owner's passphrase is set in \(configuration.access.store)")
      output.object { $0.member("store", configuration.access.store) }
    }

    private func read() throws -> String {
      guard isatty(STDIN_FILENO) == 1 else { return try line() }
      let first = try ask("Passphrase: ")
      guard try ask("Again: ") == first else {
        throw CommandFailure(.usage, code: "usage", "the two passphrases differ")
      }
      return first
    }

    /// Asks at the terminal, which does not show what is typed.
    private func ask(_ prompt: String) throws -> String {
      var settings = termios()
      guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { throw SystemError.last("tcgetattr") }
      let before = settings
      settings.c_lflag &= ~tcflag_t(ECHO)
      unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
      defer {
        var restored = before
        unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &restored)
        Output.write("\n", to: STDERR_FILENO)
      }
      Output.write(prompt, to: STDERR_FILENO)
      return try line()
    }

    /// One line of standard input, byte by byte: what follows is not ours.
    private func line() throws -> String {
      var bytes: [UInt8] = []
      var byte: UInt8 = 0
      while bytes.count <= Self.longest {
        let count = unsafe Glibc.read(STDIN_FILENO, &byte, 1)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw SystemError.last("read") }
        if count == 0 || byte == UInt8(ascii: "\n") { break }
        bytes.append(byte)
      }
      if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
      guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
        throw CommandFailure(.usage, code: "usage", "the passphrase is not UTF-8")
      }
      return text
    }
  }
}
