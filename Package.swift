// swift-tools-version: 6.2
import PackageDescription

// One set of rules for all of our own code: Swift 6 mode, warnings are errors, every unsafe construct is marked.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]
// Test macros expand to code that strict memory safety flags; everything else holds for tests too.
let testing: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

func test(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: testing)
}

let package = Package(
  name: "parley",
  platforms: [.macOS(.v26)],  // Linux is the platform; this only raises the API floor for the Swift tools.
  products: [
    .executable(name: "parley", targets: ["parley"]),
    .executable(name: "parley-full", targets: ["parley-full"]),
    .executable(name: "parley-bench", targets: ["parley-bench"]),
    .executable(name: "parley-floor-redis", targets: ["parley-floor-redis"]),
    .executable(name: "parley-floor-nats", targets: ["parley-floor-nats"]),
    .executable(name: "parley-floor-matrix", targets: ["parley-floor-matrix"]),
    .executable(name: "parley-floor-xmpp", targets: ["parley-floor-xmpp"]),
    .library(name: "ParleyRuntime", targets: ["ParleyRuntime"]),
    .library(name: "ParleySQLite", targets: ["ParleySQLite"]),
    .library(name: "ParleyHTTPClient", targets: ["ParleyHTTPClient"]),
    .library(name: "ParleyMatrix", targets: ["ParleyMatrix"]),
    .library(name: "ParleyRedis", targets: ["ParleyRedis"]),
    .library(name: "ParleyNATS", targets: ["ParleyNATS"]),
    .library(name: "ParleyXMPP", targets: ["ParleyXMPP"]),
    .library(name: "ParleyRelay", targets: ["ParleyRelay"]),
    .library(name: "ParleyRemote", targets: ["ParleyRemote"]),
    .library(name: "ParleyConformance", targets: ["ParleyConformance"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2")
  ],
  targets: [
    .systemLibrary(name: "CLinux", path: "Sources/CLinux"),
    .systemLibrary(
      name: "CSQLite", path: "Sources/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CYaml", path: "Sources/CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),

    .systemLibrary(name: "CNats", path: "Sources/CNats", providers: [.apt(["libnats-dev", "libssl-dev"])]),
    .systemLibrary(
      name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CExpat", path: "Sources/CExpat", pkgConfig: "expat", providers: [.apt(["libexpat1-dev"])]),
    // Without its pkg-config file, which names a flag that the package manager refuses with a warning.
    .systemLibrary(name: "CHiredis", path: "Sources/CHiredis", providers: [.apt(["libhiredis-dev"])]),

    // Needs libcurl's headers to be built (libcurl4-openssl-dev), and the library only when a request is made.
    .target(name: "CCurl", path: "Sources/CCurl", cSettings: [.unsafeFlags(["-Wall", "-Werror"])]),

    // Needs libcjose's headers to be built (libcjose-dev), and the library only when a token is checked.
    .target(name: "CJose", path: "Sources/CJose", cSettings: [.unsafeFlags(["-Wall", "-Werror"])]),

    .target(name: "ParleyRuntime", dependencies: ["CLinux"], path: "Sources/Runtime", swiftSettings: strict),
    .target(
      name: "ParleySQLite", dependencies: ["ParleyRuntime", "CSQLite", "CLinux"], path: "Sources/Plugins/SQLite",
      swiftSettings: strict),
    .target(
      name: "ParleyNATS", dependencies: ["ParleyRuntime", "CNats", "CLinux"], path: "Sources/Plugins/NATS",
      swiftSettings: strict),
    .target(
      name: "ParleyTLS", dependencies: ["ParleyRuntime", "COpenSSL"], path: "Sources/TLS", swiftSettings: strict),
    .target(
      name: "ParleyHTTPClient", dependencies: ["ParleyRuntime", "CCurl"], path: "Sources/HTTPClient",
      swiftSettings: strict),
    .target(
      name: "ParleyMatrix", dependencies: ["ParleyRuntime", "ParleyHTTPClient", "CLinux"],
      path: "Sources/Plugins/Matrix", swiftSettings: strict),
    .target(
      name: "ParleyRedis", dependencies: ["ParleyRuntime", "ParleyTLS", "CHiredis"], path: "Sources/Plugins/Redis",
      swiftSettings: strict),
    .target(
      name: "ParleyXMPP", dependencies: ["ParleyRuntime", "ParleyTLS", "CExpat"], path: "Sources/Plugins/XMPP",
      swiftSettings: strict),
    .target(
      name: "ParleyRelay", dependencies: ["ParleyRuntime", "ParleyHTTPClient"], path: "Sources/Plugins/Parley",
      swiftSettings: strict),
    .target(
      name: "ParleyCoordination", dependencies: ["ParleyRuntime"], path: "Sources/Coordination", swiftSettings: strict),
    .target(
      name: "ParleyConfiguration", dependencies: ["ParleyRuntime", "CYaml", "CLinux"], path: "Sources/Configuration",
      swiftSettings: strict),
    .target(
      name: "ParleyMCP", dependencies: ["ParleyRuntime", "ParleyCoordination"], path: "Sources/MCP",
      swiftSettings: strict),
    .target(
      name: "ParleyHTTPServer", dependencies: ["ParleyRuntime"], path: "Sources/HTTPServer", swiftSettings: strict),
    .target(
      name: "ParleyRemote",
      dependencies: [
        "ParleyRuntime", "ParleyCoordination", "ParleyMCP", "ParleyHTTPClient", "ParleyHTTPServer", "ParleyTLS",
        "CJose", "CLinux",
      ],
      path: "Sources/Remote", swiftSettings: strict),
    .target(
      name: "ParleyMonitor", dependencies: ["ParleyRuntime", "ParleyCoordination", "ParleyMCP", "CLinux"],
      path: "Sources/Monitor", swiftSettings: strict),
    .target(
      name: "ParleyCommands",
      dependencies: [
        "ParleyRuntime", "ParleyCoordination", "ParleyConfiguration", "ParleyMCP", "ParleyMonitor", "CLinux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/Commands", swiftSettings: strict),
    .target(
      name: "ParleySQLiteWiring", dependencies: ["ParleyCommands", "ParleySQLite", "ParleyRuntime", "CSQLite"],
      path: "Sources/CLI/SQLite", swiftSettings: strict),
    .executableTarget(
      name: "parley", dependencies: ["ParleyCommands", "ParleySQLiteWiring"], path: "Sources/CLI/parley",
      swiftSettings: strict),
    .executableTarget(
      name: "parley-full",
      dependencies: [
        "ParleyCommands", "ParleyConfiguration", "ParleyHTTPClient", "ParleyHTTPServer", "ParleyMCP", "ParleyMatrix",
        "ParleyNATS",
        "ParleyRedis", "ParleyRelay", "ParleyRemote", "ParleyRuntime", "ParleySQLiteWiring", "ParleyTLS", "ParleyXMPP",
      ],
      path: "Sources/CLI/parley-full",
      swiftSettings: strict),

    .target(
      name: "ParleyConformance", dependencies: ["ParleyRuntime"], path: "Sources/Conformance", swiftSettings: strict),
    .target(
      name: "ParleyTestKit", dependencies: ["ParleyRuntime", "CLinux"], path: "Sources/TestKit", swiftSettings: strict),
    .target(
      name: "CFloors", path: "Sources/Bench/Floors",
      cSettings: [.unsafeFlags(["-O2", "-Wall", "-Werror"])],
      linkerSettings: [.linkedLibrary("sqlite3")]),
    .executableTarget(
      name: "parley-floor-redis", path: "Sources/Bench/RedisFloor",
      cSettings: [.unsafeFlags(["-O2", "-Wall", "-Werror"])], linkerSettings: [.linkedLibrary("hiredis")]),
    .executableTarget(
      name: "parley-floor-nats", path: "Sources/Bench/NATSFloor",
      cSettings: [.unsafeFlags(["-O2", "-Wall", "-Werror"])], linkerSettings: [.linkedLibrary("nats")]),
    .executableTarget(
      name: "parley-floor-matrix", path: "Sources/Bench/MatrixFloor",
      cSettings: [.unsafeFlags(["-O2", "-Wall", "-Werror"])], linkerSettings: [.linkedLibrary("curl")]),
    .executableTarget(
      name: "parley-floor-xmpp", path: "Sources/Bench/XMPPFloor",
      cSettings: [.unsafeFlags(["-O2", "-Wall", "-Werror"])],
      linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
    .executableTarget(
      name: "parley-bench",
      dependencies: [
        "ParleyRuntime", "ParleyConformance", "ParleyHTTPServer", "ParleyTestKit", "CFloors", "CLinux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/Bench",
      exclude: ["Floors", "ServerFloor", "RedisFloor", "NATSFloor", "MatrixFloor", "XMPPFloor"], swiftSettings: strict),

    test("RuntimeTests", ["ParleyRuntime", "ParleyConformance", "ParleyTestKit"]),
    test(
      "ConfigurationTests",
      [
        "ParleyConfiguration", "ParleyMatrix", "ParleyNATS", "ParleyRedis", "ParleyRelay", "ParleyRuntime",
        "ParleySQLite", "ParleyTestKit", "ParleyXMPP",
      ]),
    test("TestKitTests", ["ParleyTestKit", "ParleyRuntime"]),
    test("ConformanceTests", ["ParleyConformance", "ParleyRuntime", "ParleyTestKit"]),
    test("SQLiteTests", ["ParleySQLite", "ParleyConformance", "ParleyRuntime", "ParleyTestKit", "CSQLite"]),
    test("NATSTests", ["ParleyNATS", "ParleyConformance", "ParleyRuntime", "ParleyTestKit", "CNats"]),
    test("TLSTests", ["ParleyTLS", "ParleyRuntime", "ParleyTestKit"]),
    test("HTTPClientTests", ["ParleyHTTPClient", "ParleyRuntime", "ParleyTestKit"]),
    test(
      "MatrixTests",
      [
        "ParleyMatrix", "ParleyCoordination", "ParleyHTTPClient", "ParleyConformance", "ParleyRuntime", "ParleyTestKit",
      ]),
    test("RedisTests", ["ParleyRedis", "ParleyConformance", "ParleyRuntime", "ParleyTLS", "ParleyTestKit"]),
    test(
      "XMPPTests",
      [
        "ParleyXMPP", "ParleyCoordination", "ParleyConformance", "ParleyRuntime", "ParleyTLS", "ParleyTestKit",
        "CSQLite",
      ]),
    test("CoordinationTests", ["ParleyCoordination", "ParleyRuntime", "ParleyConformance", "ParleyTestKit"]),
    test("MCPTests", ["ParleyMCP", "ParleyCoordination", "ParleyRuntime", "ParleyConformance", "ParleyTestKit"]),
    test("HTTPServerTests", ["ParleyHTTPServer", "ParleyRuntime", "ParleyTestKit"]),
    test(
      "RemoteTests",
      [
        "ParleyRemote", "ParleyHTTPClient", "ParleyHTTPServer", "ParleyMCP", "ParleyCoordination", "ParleyRuntime",
        "ParleyConformance", "ParleyTLS",
        "ParleyTestKit",
      ]),
    test(
      "MonitorTests", ["ParleyMonitor", "ParleyCoordination", "ParleyRuntime", "ParleyConformance"]),
    test("RelayTests", ["ParleyRelay", "ParleyConformance", "ParleyRuntime", "ParleyTestKit", "CSQLite"]),
    test("ProcessTests", ["ParleyRuntime", "ParleyConformance", "ParleyTestKit", "CSQLite"]),
  ]
)
