// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "embed",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "parley", path: "../..")],
  targets: [
    .executableTarget(
      name: "embed",
      dependencies: [
        .product(name: "ParleyRuntime", package: "parley"),
        .product(name: "ParleySQLite", package: "parley"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6)]),
    .executableTarget(
      name: "door",
      dependencies: [
        .product(name: "ParleyRemote", package: "parley"),
        .product(name: "ParleyRuntime", package: "parley"),
        .product(name: "ParleySQLite", package: "parley"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6)]),
  ]
)
