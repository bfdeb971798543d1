import ParleyRuntime
import ParleyTestKit
import Testing

/// What an OpenAPI-driven fuzzer makes of `/v1`: it reads the served document and finds no answer that contradicts it.
@Suite struct SchemathesisTests {
  /// Seconds.
  private static var time: String {
    Environment.value("PARLEY_FUZZ_SECONDS") ?? (Environment.value("PARLEY_SOAK") == "1" ? "300" : "90")
  }
  private static let checks = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "allow_header_conformance", "ignored_auth",
  ]

  @Test func findsNoServerErrorAndNoAnswerOutOfItsSchema() async throws {
    try await onLoop { loop in
      let door = try await DoorServer(
        loop: loop, http: "token: 0123456789abcdef0123456789abcdef",
        configuration: "topics: [general]\nlimits: { wait_ms: 1000 }\nkeys: { self_service: true }")
      let fuzzer = try ChildProcess(
        loop: loop, path: try TestPrograms.path("schemathesis"),
        arguments: [
          "run", "\(door.url)/v1/openapi.json", "--header", "Authorization: Bearer 0123456789abcdef0123456789abcdef",
          "--checks", Self.checks.joined(separator: ","), "--max-time", Self.time, "--seed", "7", "--no-color",
        ], environment: door.environment, directory: door.folder.path)
      fuzzer.closeInput()
      let exit = await fuzzer.waitForExit(until: loop.now.advanced(by: .seconds((Int(Self.time) ?? 300) + 280)))
      #expect(exit == .status(0), "\(fuzzer.outputLines.suffix(60).joined(separator: "\n")) \(fuzzer.errorLines)")
      await door.stop()
    }
  }
}
