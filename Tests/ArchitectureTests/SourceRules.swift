/// A place where a rule of the house is broken.
struct Violation: Equatable, CustomStringConvertible {
    var path: String
    var line: Int
    var message: String

    var description: String { "\(path):\(line): \(message)" }
}

/// A file of the repository: its path from the root, with `/`, and its text.
struct RepositoryFile {
    var path: String
    var text: String

    /// `Sources/<room>/...` or `Tests/<room>/...`.
    var room: (folder: String, isTest: Bool)? {
        let parts = path.split(separator: "/")
        guard parts.count >= 3, parts[0] == "Sources" || parts[0] == "Tests" else { return nil }
        return (String(parts[1]), parts[0] == "Tests")
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isCode: Bool { isSwift || path.hasSuffix(".c") || path.hasSuffix(".h") }
    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
}

/// The rules that a text can be checked for. Each one gives the places where it is broken.
enum SourceRules {
    static let maximumFileLines = 500
    static let maximumFunctionLines = 70
    static let maximumColumns = 120

    static func imports(_ file: RepositoryFile) -> [Violation] {
        guard file.isSwift, let room = file.room else { return [] }
        guard let allowed = House.allowedImports(folder: room.folder, isTest: room.isTest) else { return [] }
        return SwiftSource(file.text).imports.compactMap { found in
            if found.isTestable {
                return Violation(
                    path: file.path, line: found.line,
                    message: "@testable needs a debug build: use package access for what tests need")
            }
            guard !allowed.contains(found.module) else { return nil }
            return Violation(
                path: file.path, line: found.line,
                message: "\(room.folder) may not import \(found.module); it may import "
                    + (allowed.isEmpty ? "nothing" : allowed.sorted().joined(separator: ", ")))
        }
    }

    /// Folders below Sources and Tests that are no rooms.
    static func unknownRooms(_ paths: [String]) -> [Violation] {
        let files = paths.map { RepositoryFile(path: $0, text: "") }
        let strangers = files.filter { file in
            guard let room = file.room else { return file.path.hasPrefix("Sources/") || file.path.hasPrefix("Tests/") }
            return House.allowedImports(folder: room.folder, isTest: room.isTest) == nil
        }
        return strangers.map {
            Violation(path: $0.path, line: 1, message: "not in a room of the import table (Tests/ArchitectureTests)")
        }
    }

    /// Names that bring an ambient clock, chance, tasks or output into a pure room.
    private static let impureNames: Set<String> = [
        "ContinuousClock", "SuspendingClock", "SystemRandomNumberGenerator", "Task", "TaskGroup", "async", "await",
        "print", "debugPrint", "readLine",
    ]

    static func purity(_ file: RepositoryFile) -> [Violation] {
        guard file.isSwift, let room = file.room, !room.isTest, House.isPure(room.folder) else { return [] }
        let source = SwiftSource(file.text)
        var found: [Violation] = []
        for word in source.words {
            let end = word.offset + word.text.utf8.count
            let isImpure =
                impureNames.contains(word.text)
                || (["randomElement", "shuffled", "shuffle"].contains(word.text) && source.hasPrefix("()", at: end))
                || (word.text == "actor" && source.isDeclaration(at: end))
                || (word.text == "random" && source.isCallWithoutGenerator(at: end))
            guard isImpure else { continue }
            found.append(
                Violation(
                    path: file.path, line: source.line(of: word.offset),
                    message: "\(word.text) has no place in a pure room: time and chance are arguments"))
        }
        return found
    }

    static func fileLength(_ file: RepositoryFile) -> [Violation] {
        guard file.isCode else { return [] }
        let count = file.lines.count - (file.text.hasSuffix("\n") ? 1 : 0)
        guard count > maximumFileLines else { return [] }
        return [Violation(path: file.path, line: count, message: "\(count) lines; at most \(maximumFileLines)")]
    }

    static func functionLength(_ file: RepositoryFile) -> [Violation] {
        guard file.isSwift else { return [] }
        return SwiftSource(file.text).functions.filter { $0.length > maximumFunctionLines }.map {
            Violation(
                path: file.path, line: $0.line,
                message: "\($0.name) has \($0.length) lines; at most \(maximumFunctionLines)")
        }
    }

    static func lineLength(_ file: RepositoryFile) -> [Violation] {
        guard file.isCode else { return [] }
        return file.lines.enumerated().filter { $0.element.count > maximumColumns }.map {
            Violation(
                path: file.path, line: $0.offset + 1,
                message: "\($0.element.count) columns; at most \(maximumColumns)")
        }
    }

    /// Unfinished work, and paths of one person's machine. The words are put together here, so that this file does not
    /// break its own rule.
    static func leftovers(_ file: RepositoryFile) -> [Violation] {
        let words = ["TO" + "DO", "FIX" + "ME"]
        let homes = ["/ho" + "me/", "/ro" + "ot/", "/Us" + "ers/"]
        var found: [Violation] = []
        for (index, line) in file.lines.enumerated() {
            for word in words where line.contains(word) {
                found.append(
                    Violation(path: file.path, line: index + 1, message: "\(word): finish it or open an issue"))
            }
            for home in homes where line.contains(home) {
                found.append(Violation(path: file.path, line: index + 1, message: "\(home) is a path of one machine"))
            }
        }
        return found
    }

    static func fileName(_ file: RepositoryFile) -> [Violation] {
        guard file.isCode, let name = file.path.split(separator: "/").last else { return [] }
        return ["Util", "Helper", "Manager"].filter { name.contains($0) }.map {
            Violation(path: file.path, line: 1, message: "\($0) says nothing: name the file after what it does")
        }
    }
}

extension SwiftSource {
    func hasPrefix(_ text: String, at offset: Int) -> Bool { code[offset...].starts(with: text.utf8) }

    /// Whether a type's name comes next, as after the keyword `actor`, which is also a good name for who did something.
    func isDeclaration(at offset: Int) -> Bool {
        let name = code[offset...].drop { $0 == 0x20 }
        guard name.startIndex > offset, let first = name.first else { return false }
        return (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first)
    }

    /// Whether `offset` is the start of an argument list without `using:`.
    func isCallWithoutGenerator(at offset: Int) -> Bool {
        guard hasPrefix("(", at: offset) else { return false }
        var depth = 0
        for index in offset..<code.count {
            if code[index] == UInt8(ascii: "(") { depth += 1 }
            if code[index] == UInt8(ascii: ")") { depth -= 1 }
            if depth == 0 { return !String(decoding: code[offset...index], as: UTF8.self).contains("using:") }
        }
        return false
    }
}
