import ParleyRuntime

/// One text that many processes share, with a number that every change raises: what a store of several hosts stands on.
package protocol RecordCell: Sendable {
  /// A text, and how many changes led to it; 0 and empty where there was none.
  typealias Content = (number: Int, text: String)

  /// Where it is, without credentials.
  var location: String { get }

  /// Connects. Throws where the server cannot be used, or might forget the text by itself.
  func connect() async throws(SeamError)

  /// Ends the connection; what waits on it fails.
  func disconnect() async

  /// What is there now.
  func read() async throws(SeamError) -> Content

  /// What is newer than a number: at once where there is something, else when it comes, and nil where nothing came for
  /// a while. Without `waits`, nil at once.
  func newer(than number: Int, waits: Bool) async throws(SeamError) -> Content?

  /// Puts a text in the place of the one of this number, in one step; false where that is not there any more.
  func replace(_ number: Int, with text: String) async throws(SeamError) -> Bool
}
