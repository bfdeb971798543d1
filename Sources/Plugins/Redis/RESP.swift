/// Commands as the server reads them (RESP2: an array of bulk strings).
enum RESP {
  /// A command whose arguments are at hand.
  static func encode(_ arguments: [String], into output: inout [UInt8]) {
    begin(arguments.count, into: &output)
    for argument in arguments { append(argument, to: &output) }
  }

  /// Begins a command of so many arguments, which `append` adds.
  static func begin(_ count: Int, into output: inout [UInt8]) { line(UInt8(ascii: "*"), UInt64(count), &output) }

  /// One argument by itself, for those that come again and again.
  static func bulk(_ argument: String) -> [UInt8] {
    var bytes: [UInt8] = []
    append(argument, to: &bytes)
    return bytes
  }

  static func append(_ argument: String, to output: inout [UInt8]) {
    line(UInt8(ascii: "$"), UInt64(argument.utf8.count), &output)
    output.append(contentsOf: argument.utf8)
    end(&output)
  }

  static func append(_ number: UInt64, to output: inout [UInt8]) {
    line(UInt8(ascii: "$"), UInt64(digits(of: number)), &output)
    write(number, &output)
    end(&output)
  }

  static func append(_ id: StreamID, to output: inout [UInt8]) {
    line(UInt8(ascii: "$"), UInt64(digits(of: id.milliseconds) + 1 + digits(of: id.sequence)), &output)
    write(id.milliseconds, &output)
    output.append(UInt8(ascii: "-"))
    write(id.sequence, &output)
    end(&output)
  }

  private static func line(_ mark: UInt8, _ number: UInt64, _ output: inout [UInt8]) {
    output.append(mark)
    write(number, &output)
    end(&output)
  }

  private static func end(_ output: inout [UInt8]) {
    output.append(13)
    output.append(10)
  }

  private static func digits(of number: UInt64) -> Int {
    var (count, rest) = (1, number)
    while rest > 9 {
      rest /= 10
      count += 1
    }
    return count
  }

  /// From the last digit to the first: to divide by a constant is a multiplication.
  private static func write(_ number: UInt64, _ output: inout [UInt8]) {
    if number < 10 { return output.append(48 + UInt8(number)) }
    if number < 100 {
      output.append(48 + UInt8(number / 10))
      return output.append(48 + UInt8(number % 10))
    }
    let count = digits(of: number)
    let start = output.count
    output.append(contentsOf: repeatElement(48, count: count))
    var rest = number
    for index in stride(from: start + count - 1, through: start, by: -1) {
      output[index] = 48 + UInt8(rest % 10)
      rest /= 10
    }
  }
}
