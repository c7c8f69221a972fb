public import CloudModel

/// A service's login rules, compiled: which requests the audit monitor intercepts.
///
/// A path matches in its `NormalPath` and whatever the case of its letters: a login that the service's server would
/// take for the same path must not pass unseen, and a request that is watched without need costs little.
public struct LoginRules: Sendable {
    public let rules: [LoginRule]
    private let entries: [Entry]
    /// Methods and lower-case paths, one after the other.
    private let bytes: [UInt8]

    /// No references, so that a pass over the rules touches no reference count.
    private struct Entry {
        var methodStart: Int32
        var pathStart: Int32
        var end: Int32
        var rule: Int32
    }

    /// A rule whose path no request can have is left out (the configuration's check refuses it before).
    public init(_ rules: [LoginRule]) {
        self.rules = rules
        var bytes: [UInt8] = []
        entries = rules.enumerated().compactMap { index, rule in
            guard let path = NormalPath.normalise(rule.path) else { return nil }
            let methodStart = Int32(bytes.count)
            bytes += Array(rule.method.utf8)
            let pathStart = Int32(bytes.count)
            bytes += path.utf8.map(Self.lowercased)
            return Entry(methodStart: methodStart, pathStart: pathStart, end: Int32(bytes.count), rule: Int32(index))
        }
        self.bytes = bytes
    }

    public var isEmpty: Bool { entries.isEmpty }

    /// The index of the first rule for the request; nil where it is no login. `path` must be a `NormalPath`. Allocates
    /// nothing.
    public func match(method: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer) -> Int? {
        bytes.withUnsafeBytes { bytes in
            for entry in entries {
                let ruleMethod = UnsafeRawBufferPointer(
                    rebasing: bytes[Int(entry.methodStart)..<Int(entry.pathStart)])
                let rulePath = UnsafeRawBufferPointer(rebasing: bytes[Int(entry.pathStart)..<Int(entry.end)])
                if Self.matches(path, rulePath, foldingCase: true) && Self.matches(method, ruleMethod) {
                    return Int(entry.rule)
                }
            }
            return nil
        }
    }

    private static func matches(
        _ bytes: UnsafeRawBufferPointer, _ pattern: UnsafeRawBufferPointer, foldingCase: Bool = false
    ) -> Bool {
        guard bytes.count == pattern.count else { return false }
        for index in 0..<bytes.count {
            let byte = foldingCase ? lowercased(bytes[index]) : bytes[index]
            if byte != pattern[index] { return false }
        }
        return true
    }

    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
}
