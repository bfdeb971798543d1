import CFloors
import CLinux
import Glibc

/// Where and on what the figures were taken.
struct Machine {
  let processor: String
  let cores: Int
  let kernel: String
  let fileSystem: String
  let sqlite: String
  /// UTC, to the minute.
  let date: String

  /// Describes this machine and the file system of `directory`.
  init(directory: String) {
    let model = (Files.text("/proc/cpuinfo") ?? "").split(separator: "\n").first { $0.hasPrefix("model name") }
    processor = model.flatMap { $0.split(separator: ":").last }.map { String($0.drop { $0 == " " }) } ?? "unknown CPU"
    cores = sysconf(CInt(_SC_NPROCESSORS_ONLN))
    let release = Files.text("/proc/sys/kernel/osrelease")?.split(separator: "\n").first
    kernel = release.map { String($0) } ?? "of unknown version"
    fileSystem = Self.fileSystem(of: directory)
    sqlite = unsafe String(cString: parley_floor_sqlite_version())
    var seconds = time(nil)
    var parts = unsafe tm()
    unsafe gmtime_r(&seconds, &parts)
    func two(_ number: CInt) -> String { number < 10 ? "0\(number)" : "\(number)" }
    date =
      unsafe "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
      + "\(two(parts.tm_hour)):\(two(parts.tm_min)) UTC"
  }

  /// All in one line.
  var summary: String {
    "\(cores) × \(processor) · Linux \(kernel) · \(fileSystem) · SQLite \(sqlite) · \(date)"
  }

  private static func fileSystem(of directory: String) -> String {
    var status = statfs()
    guard unsafe statfs(directory, &status) == 0 else { return "unknown file system" }
    // From <linux/magic.h>.
    let names: [Int: String] = [
      0xEF53: "ext4", 0x0102_1994: "tmpfs (nothing reaches a disk)", 0x5846_5342: "xfs", 0x9123_683E: "btrfs",
      0x794C_7630: "overlayfs", 0x2FC1_2FC1: "zfs", 0x6969: "nfs",
    ]
    return names[Int(status.f_type)] ?? "file system 0x" + String(status.f_type, radix: 16)
  }
}
