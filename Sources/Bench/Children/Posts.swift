/// A series of posts whose contents name themselves: `tag.index`, a space, and padding up to the size.
struct Posts {
  let tag: String
  let topics: [String]
  private let head: [[UInt8]]
  private let tail: [UInt8]

  /// `size`: about as many bytes of content in each post; `meta`: further members of the params, with a comma behind.
  init(_ tag: String, topics: [String] = ["general"], size: Int = 200, meta: String = "") {
    self.tag = tag
    self.topics = topics
    head = topics.map {
      Array(
        """
        ,"method":"tools/call","params":{"name":"parley_post",\(meta)"arguments":{"topic":"\($0)","content":"\(tag).
        """.utf8)
    }
    tail = Array((" " + String(repeating: "x", count: max(0, size - tag.utf8.count - 6)) + "\"}}}\n").utf8)
  }

  /// What the content of the post at `index` begins with.
  func key(_ index: Int) -> String { "\(tag).\(index)" }

  /// The topic of the post at `index`.
  func topic(_ index: Int) -> String { topics[index % topics.count] }

  /// Writes the request line of one post.
  func append(_ index: Int, id: Int, to buffer: inout [UInt8]) {
    buffer.append(contentsOf: "{\"jsonrpc\":\"2.0\",\"id\":".utf8)
    buffer.append(contentsOf: String(id).utf8)
    buffer.append(contentsOf: head[index % topics.count])
    buffer.append(contentsOf: String(index).utf8)
    buffer.append(contentsOf: tail)
  }
}
