import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// The launcher that process tests stand on.
struct ChildProcessTests {
  private func onLoop<Value: Sendable>(
    _ body: @escaping @Sendable (EventLoop) async -> Result<Value, SystemError>
  ) async throws -> Value {
    let loop = try EventLoop.thread(named: "child test")
    defer { loop.stop() }
    return try await loop.spawn { await body(loop) }.value.get()
  }

  @Test func talksAndEnds() async throws {
    let (line, exit) = try await onLoop { loop in
      do throws(SystemError) {
        let child = try ChildProcess(loop: loop, path: "/bin/cat")
        let deadline = loop.now.advanced(by: .seconds(10))
        child.send("hello\n")
        let line = await child.nextLine(until: deadline)
        child.closeInput()
        return .success((line, await child.waitForExit(until: deadline)))
      } catch { return .failure(error) }
    }
    #expect(line == "hello" && exit == .status(0))
  }

  @Test func takesEnvironmentDirectoryAndReportsErrorsAndStatus() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path
    let (out, err, exit) = try await onLoop { loop in
      do throws(SystemError) {
        let child = try ChildProcess(
          loop: loop, path: "/bin/sh", arguments: ["-c", "echo $MARK; pwd; echo oops >&2; exit 3"],
          environment: ["MARK": "here"], directory: path)
        let exit = await child.waitForExit(until: loop.now.advanced(by: .seconds(10)))
        return .success((child.outputLines, child.errorLines, exit))
      } catch { return .failure(error) }
    }
    #expect(out == ["here", path] && err == ["oops"] && exit == .status(3))
  }

  @Test func isKilledWithItsOwner() async throws {
    let id = try await onLoop { loop in
      do throws(SystemError) {
        let child = try ChildProcess(loop: loop, path: "/bin/sleep", arguments: ["60"])
        return .success(child.id)
      } catch { return .failure(error) }
    }
    #expect(kill(id, 0) != 0 && errno == ESRCH)
  }

  @Test func killedBySignal() async throws {
    let exit = try await onLoop { loop in
      do throws(SystemError) {
        let child = try ChildProcess(loop: loop, path: "/bin/sleep", arguments: ["60"])
        child.kill(SIGTERM)
        return .success(await child.waitForExit(until: loop.now.advanced(by: .seconds(10))))
      } catch { return .failure(error) }
    }
    #expect(exit == .signal(SIGTERM))
  }

  @Test func missingProgramIsAnError() async throws {
    await #expect(throws: SystemError.self) {
      try await onLoop { loop in
        do throws(SystemError) { return .success(try ChildProcess(loop: loop, path: "/nonexistent").id) } catch {
          return .failure(error)
        }
      }
    }
  }

  @Test func temporaryDirectoryGoesWithEverythingInIt() throws {
    var path = ""
    do {
      let directory = try TemporaryDirectory()
      path = directory.path
      #expect(mkdir(directory.path("inner"), 0o700) == 0)
      let file = open(directory.path("inner/file"), O_CREAT | O_WRONLY, 0o600)
      #expect(file >= 0)
      close(file)
    }
    #expect(access(path, F_OK) != 0)
  }
}
