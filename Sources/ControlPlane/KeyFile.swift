public import Foundation

/// A secret key that lives in a file of its own (mode 0600) and is made at its first use.
public enum KeyFile {
    public static let keyLength = 32

    /// The key in the file; a new random one is written where there is no file.
    ///
    /// Throws where the file cannot be read or written, or holds something else.
    public static func key(at url: URL) throws -> [UInt8] {
        if let data = FileManager.default.contents(atPath: url.path) {
            guard data.count == keyLength else {
                throw KeyFileError(
                    description: "\(url.path) holds \(data.count) bytes, not a key of \(keyLength); restore it from a "
                        + "backup, or remove it to have a new one made (links and tags made with the old one end)")
            }
            return Array(data)
        }
        var random = SystemRandomNumberGenerator()
        let key = (0..<keyLength).map { _ in UInt8.random(in: 0...255, using: &random) }
        // Written beside and renamed: a crash leaves either no key or a whole one.
        let unfinished = url.appendingPathExtension("new")
        guard
            FileManager.default.createFile(
                atPath: unfinished.path, contents: Data(key), attributes: [.posixPermissions: 0o600])
        else {
            throw KeyFileError(
                description: "\(unfinished.path) cannot be written; make its directory writable for this user")
        }
        try FileManager.default.moveItem(at: unfinished, to: url)
        return key
    }
}

public struct KeyFileError: Error, CustomStringConvertible {
    public let description: String
}
