import Foundation

/// Where one platform keeps everything: the log database, the spools, the keys, the instances' output.
struct DataDirectory: Sendable {
    private let root: URL

    /// Makes the directory where it is missing, for this user alone.
    init(path: String) throws {
        root = URL(fileURLWithPath: path, isDirectory: true)
        do {
            try FileManager.default.createDirectory(
                at: root, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw CommandFailure(
                "the data directory \(root.path) cannot be made (\(error.localizedDescription)); make it writable for "
                    + "this user, or name another one as spec.dataDirectory of the document of kind Cloud")
        }
    }

    var path: String { root.path }

    func url(_ name: String) -> URL { root.appendingPathComponent(name) }

    func path(_ name: String) -> String { url(name).path }
}
