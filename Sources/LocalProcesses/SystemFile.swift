import Glibc

/// A system call that failed on a file.
package struct SystemFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package var operation: String
    package var path: String
    package var code: Int32

    package init(_ operation: String, _ path: String, _ code: Int32 = errno) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    package var description: String { "cannot \(operation) \(path): \(Self.text(ofError: code))" }

    static func text(ofError code: Int32) -> String { String(cString: strerror(code)) }
}

/// Small files of the kernel and of our own, read and written whole.
enum SystemFile {
    /// At most `limit` bytes; nil where the file cannot be read (a process that ended meanwhile, for one).
    static func read(_ path: String, limit: Int = 1 << 16) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(limit, 1 << 14))
        while content.count < limit {
            let count = Glibc.read(file, &chunk, min(chunk.count, limit - content.count))
            if count < 0 {
                if errno == EINTR { continue }
                return nil
            }
            if count == 0 { break }
            content.append(contentsOf: chunk[0..<count])
        }
        return content
    }

    /// Without the white space around it.
    static func readText(_ path: String, limit: Int = 1 << 16) -> String? {
        guard let bytes = read(path, limit: limit) else { return nil }
        var text = String(decoding: bytes, as: UTF8.self)[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        while text.first?.isWhitespace == true { text.removeFirst() }
        return String(text)
    }

    /// In one call: what files of the kernel ask for.
    static func write(_ text: String, to path: String, create: Bool = false) throws(SystemFailure) {
        let flags = O_WRONLY | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0)
        let file = open(path, flags, 0o600)
        guard file >= 0 else { throw SystemFailure("open", path) }
        defer { close(file) }
        var text = text
        let written = text.withUTF8 { Glibc.write(file, $0.baseAddress, $0.count) }
        guard written == text.utf8.count else { throw SystemFailure("write", path, written < 0 ? errno : ENOSPC) }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Makes the directory and those above it; one that is there already is fine.
    static func makeDirectory(_ path: String, mode: mode_t) throws(SystemFailure) {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw SystemFailure("make the directory", path)
        }
        try makeDirectory(String(path[..<slash]), mode: mode)
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw SystemFailure("make the directory", path) }
    }

    /// The names in a directory, without `.` and `..`, in no order; empty where it cannot be read.
    static func names(in path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
