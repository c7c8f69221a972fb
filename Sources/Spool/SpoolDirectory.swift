import CloudModel
import Glibc
import Synchronization

/// The gateway's spool on disk: one subdirectory for each source, open in one process at a time.
///
/// Opening finds what former processes left behind, makes it durable, and goes on from there. A source is the stream of
/// one writer, named for good (`<gateway>/<loop>`); its records are numbered from 1 without end, over segments and
/// restarts.
public final class SpoolDirectory: Sendable {
    public let path: String
    public let settings: SpoolSettings
    private let crc = CRC32C.shared
    /// Of the file that keeps other processes away; -1 once closed.
    private let lock: Mutex<Int32>
    private let table = SourceTable()
    private let waiting = Atomic(false)
    private let synchroniser: Mutex<SpoolSynchroniser?>

    /// Creates the directory where it is missing (its parent must exist). Reads the newest segment of each source.
    public init(path: String, settings: SpoolSettings = .init()) throws(SpoolError) {
        self.path = path
        self.settings = try settings.validated()
        try Self.makeDirectory(path)
        let descriptor = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        lock = Mutex(descriptor)
        synchroniser = Mutex(nil)
        guard descriptor >= 0 else { throw SpoolError(.io, "cannot open \(path)/lock: \(systemReason())") }
        guard Self.takeLock(descriptor) else {
            throw SpoolError(
                .locked, "\(path) is in use by another process; stop that one, or give this one a directory of its own")
        }
        for (name, directory) in try Self.sourceDirectories(in: path) {
            let source = try SpoolSource(name: name, path: directory, settings: self.settings, crc: crc)
            try source.recover()
            table.state.withLock { $0.sources[name] = source }
        }
        let table = table
        let thread = try SpoolSynchroniser(interval: settings.syncInterval) { table.all }
        synchroniser.withLock { $0 = thread }
    }

    deinit { close() }

    /// Sources with segments, those of former processes included; sorted.
    public var sources: [String] { table.state.withLock { $0.sources.keys.sorted() } }

    /// By source, sorted.
    public var statistics: [SpoolStatistics] { all.map(\.statistics) }

    /// Whether records wait here since they cannot be stored in the log database. Said by whoever moves them; read by
    /// every loop for each login of a service that is not to be served then.
    public var isStoreAway: Bool {
        get { waiting.load(ordering: .relaxed) }
        set { waiting.store(newValue, ordering: .relaxed) }
    }

    /// Damage found since the last call.
    public func takeFaults() -> [SpoolFault] { all.flatMap { $0.takeFaults() } }

    /// The writer of a source; there is one at a time.
    ///
    /// - Parameter stored: the log database's high-water mark of the source, 0 where it knows none: numbers that it
    ///   has seen are never used again, even where the spool itself was lost.
    public func makeWriter(source name: String, after stored: UInt64 = 0) throws(SpoolError) -> SpoolWriter {
        let source = try source(named: name)
        guard !table.state.withLock({ $0.isClosed }) else { throw SpoolError(.closed, "\(path) is closed") }
        let isFree = source.state.withLock { state in
            defer { state.hasWriter = true }
            return !state.hasWriter
        }
        guard isFree else { throw SpoolError(.invalidSource, "the source \(name) has a writer already") }
        return source.makeWriter(after: stored)
    }

    /// A reader of all sources. One is enough: batches are taken from it one at a time.
    public func makeReader() -> SpoolReader { SpoolReader(self) }

    /// Makes durable now what has been appended so far.
    public func synchronise() {
        for source in all { source.synchronise() }
    }

    /// Ends the background thread, with everything that was appended durable, and lets other processes in. Close the
    /// writers first.
    public func close() {
        let thread = synchroniser.withLock { $0.take() }
        thread?.stop()
        table.state.withLock { $0.isClosed = true }
        synchronise()
        lock.withLock { descriptor in
            guard descriptor >= 0 else { return }
            // Closing alone would leave the lock to a child that is being started just now.
            flock(descriptor, LOCK_UN)
            Glibc.close(descriptor)
            descriptor = -1
        }
    }

    // MARK: Sources

    private var all: [SpoolSource] { table.all }

    func existingSource(_ name: String) -> SpoolSource? { table.state.withLock { $0.sources[name] } }

    private func source(named name: String) throws(SpoolError) -> SpoolSource {
        if let source = existingSource(name) { return source }
        guard !name.isEmpty, name.utf8.count <= 80 else {
            throw SpoolError(.invalidSource, "the source's name '\(name)' has \(name.utf8.count) bytes; give 1 to 80")
        }
        let directory = "\(path)/\(SourceDirectoryName.encoded(name))"
        try Self.makeDirectory(directory)
        let source = try SpoolSource(name: name, path: directory, settings: settings, crc: crc)
        return table.state.withLock { state in
            if let other = state.sources[name] { return other }
            state.sources[name] = source
            return source
        }
    }

    /// Tries for a second: after the death of a process, a child that it was starting may hold the lock until its own
    /// program begins.
    private static func takeLock(_ descriptor: Int32) -> Bool {
        for _ in 0..<100 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
            guard errno == EWOULDBLOCK || errno == EINTR else { return false }
            usleep(10_000)
        }
        return false
    }

    private static func makeDirectory(_ path: String) throws(SpoolError) {
        guard mkdir(path, 0o750) == 0 || errno == EEXIST else {
            throw SpoolError(.io, "cannot make the directory \(path): \(systemReason())")
        }
    }

    private static func sourceDirectories(in path: String) throws(SpoolError) -> [(name: String, path: String)] {
        try directoryEntries(of: path).compactMap { entry in
            SourceDirectoryName.decoded(entry).map { (name: $0, path: "\(path)/\(entry)") }
        }
    }
}

/// The open sources. Apart from the directory, so that the background thread does not keep that one alive.
private final class SourceTable: Sendable {
    struct State {
        var sources: [String: SpoolSource] = [:]
        var isClosed = false
    }

    let state = Mutex(State())

    /// Sorted by name.
    var all: [SpoolSource] { state.withLock { state in state.sources.values.sorted { $0.name < $1.name } } }
}

/// The names of a directory's entries, sorted.
func directoryEntries(of path: String) throws(SpoolError) -> [String] {
    guard let stream = opendir(path) else { throw SpoolError(.io, "cannot read \(path): \(systemReason())") }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// A source's name as a directory's: `source-`, and the name with every byte but letters, digits, `-`, `_` and `.` as
/// `%` and two hex digits.
enum SourceDirectoryName {
    private static let prefix = "source-"

    static func encoded(_ name: String) -> String {
        var text = prefix
        for byte in name.utf8 {
            if isPlain(byte) {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let hex = String(byte, radix: 16, uppercase: true)
                text += "%" + (hex.utf8.count == 1 ? "0" : "") + hex
            }
        }
        return text
    }

    static func decoded(_ directory: String) -> String? {
        guard directory.hasPrefix(prefix) else { return nil }
        var bytes: [UInt8] = []
        var rest = Array(directory.utf8.dropFirst(prefix.utf8.count))[...]
        while let byte = rest.popFirst() {
            if isPlain(byte) {
                bytes.append(byte)
            } else {
                guard byte == UInt8(ascii: "%"), rest.count >= 2,
                    let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { return nil }
                rest = rest.dropFirst(2)
                bytes.append(value)
            }
        }
        guard let name = String(validating: bytes, as: UTF8.self), encoded(name) == directory else { return nil }
        return name
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
