/// The version of Parley.
public enum ParleyVersion {
  /// Semantic version (semver.org).
  public static let text = "0.1.0"
}
