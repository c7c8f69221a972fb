/// One fault of a configuration file: where it is, what is wrong, and how to mend it.
public struct FileFault: Hashable, Sendable, Comparable, CustomStringConvertible {
    public var file: String
    /// From 1, as editors count; the column in characters.
    public var line: Int
    public var column: Int
    public var message: String
    public var remedy: String

    public init(file: String, line: Int, column: Int, message: String, remedy: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.remedy = remedy
    }

    public var description: String { "\(file):\(line):\(column): \(message); \(remedy)" }

    /// In the order of the file.
    public static func < (left: Self, right: Self) -> Bool {
        (left.line, left.column, left.message) < (right.line, right.column, right.message)
    }
}

/// All faults of a file, in its order.
public struct ConfigurationFaults: Error, Hashable, Sendable, CustomStringConvertible {
    public var faults: [FileFault]

    public init(_ faults: [FileFault]) { self.faults = faults }

    public var description: String { faults.map(\.description).joined(separator: "\n") }
}
