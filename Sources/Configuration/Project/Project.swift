import ParleyRuntime

/// What stands for a project where nobody wrote a configuration: agents of one repository meet, those of another do not.
package struct Project: Hashable, Sendable {
  /// The folder that names the project: the repository's (the same from all its work trees), else the working directory.
  package let root: String
  /// The folder the handle is named after: the work tree's own, so that two work trees have different handles.
  package let folder: String
  /// Where the project's files lie.
  package let stateDirectory: String

  /// The project of the working directory.
  package init(of surroundings: Surroundings) {
    let repository = GitRepository(enclosing: surroundings.workingDirectory)
    folder = repository?.workTree ?? Path.normalised(surroundings.workingDirectory)
    root = repository?.root ?? folder
    let name = "\(Self.word(Path.name(root), otherwise: "root"))-\(SHA256.hexadecimal(root, digits: 8))"
    stateDirectory = surroundings.stateDirectory + "/projects/" + name
  }

  /// The handle before anything is appended to tell instances apart.
  package var baseHandle: String { Self.word(Path.name(folder), otherwise: "agent") }

  /// A folder's name as a word that can be mentioned with `@`: `[A-Za-z0-9._-]`, beginning and ending with a letter or
  /// digit, at most 100 bytes (a handle's default limit leaves room for a number), never empty.
  static func word(_ name: String, otherwise: String) -> String {
    var word = ""
    for scalar in name.unicodeScalars where word.utf8.count < 100 {
      if isWordScalar(scalar) {
        word.unicodeScalars.append(scalar)
      } else if !word.hasSuffix("-") {
        word += "-"
      }
    }
    let trimmed = word.drop { "._-".contains($0) }
    let kept = trimmed.reversed().drop { "._-".contains($0) }
    return kept.isEmpty ? otherwise : String(kept.reversed())
  }

  private static func isWordScalar(_ scalar: Unicode.Scalar) -> Bool {
    scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil || "._-".contains(Character(scalar)))
  }
}
