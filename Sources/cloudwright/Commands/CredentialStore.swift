import Foundation
import Glibc

/// The tokens that `login` keeps, by server: `~/.config/cloudwright/credentials`, readable by its owner only.
struct CredentialStore {
    let path: String

    init(environment: [String: String]) {
        let base =
            environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 }
            ?? (environment["HOME"] ?? "") + "/.config"
        path = base + "/cloudwright/credentials"
    }

    /// The token for a server; nil where none is kept.
    func token(for server: String) throws -> String? { try entries()[server] }

    func keep(_ token: String, for server: String) throws {
        var kept = try entries()
        kept[server] = token
        let text = kept.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)\n" }.joined()
        let directory = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try Self.write(text, to: path)
    }

    /// One line a server: its address, a space, the token.
    private func entries() throws -> [String: String] {
        guard FileManager.default.fileExists(atPath: path) else { return [:] }
        let lines = try SecretFile.contents(of: path).split(separator: "\n")
        var entries: [String: String] = [:]
        for line in lines {
            let parts = line.split(separator: " ", maxSplits: 1)
            if parts.count == 2 { entries[String(parts[0])] = String(parts[1]) }
        }
        return entries
    }

    /// Written beside and moved into place, so that a crash leaves the old file or the new one.
    private static func write(_ text: String, to path: String) throws {
        let draft = path + ".\(getpid())"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure("cannot write \(draft): \(String(cString: strerror(errno)))")
        }
        let bytes = Array(text.utf8)
        let count = Glibc.write(descriptor, bytes, bytes.count)
        close(descriptor)
        guard count == bytes.count, rename(draft, path) == 0 else {
            unlink(draft)
            throw CommandFailure("cannot write \(path): \(String(cString: strerror(errno)))")
        }
    }
}

/// A file that holds a secret: refused where others than its owner may read it.
enum SecretFile {
    private static let maximumSize = 1 << 16

    static func contents(of path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandFailure("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw CommandFailure("\(path) is not a file")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw CommandFailure("others may read \(path), which holds a secret; run: chmod 600 \(path)")
        }
        var buffer = [UInt8](repeating: 0, count: maximumSize)
        let count = read(descriptor, &buffer, buffer.count)
        guard count >= 0 else { throw CommandFailure("cannot read \(path): \(String(cString: strerror(errno)))") }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// The first line, which is all that a token file has.
    static func secret(in path: String) throws -> String {
        let line = try contents(of: path).split(separator: "\n").first.map(String.init) ?? ""
        let secret = line.trimmingCharacters(in: .whitespaces)
        guard !secret.isEmpty else {
            throw CommandFailure("\(path) is empty; it must hold the token in its first line")
        }
        return secret
    }
}
