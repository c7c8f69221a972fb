import Foundation
import Synchronization

/// noVNC's modules as the Debian package `novnc` installs them: read once they are there, and kept. They are served
/// from the platform itself, so that the console's policy stays as it is.
package final class NoVNCFiles: Sendable {
    package static let root = "novnc/"
    /// What a browser loads for a display; the rest of the package is an application of its own.
    private static let folders = ["core", "vendor"]
    private static let maximumFiles = 500
    private static let maximumFileBytes = 1 << 20

    private let folder: String
    private let files = Mutex<[String: [UInt8]]>([:])

    package init(folder: String = "/usr/share/novnc") { self.folder = folder }

    /// The file of a name below `root`; nil where there is none, or noVNC is not installed.
    package func file(_ name: String) -> [UInt8]? {
        files.withLock { files in
            if files.isEmpty { files = read() }
            return files[name]
        }
    }

    /// Regular modules only: what leads out of the folder is not followed.
    private func read() -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for part in Self.folders {
            guard let names = FileManager.default.enumerator(atPath: "\(folder)/\(part)") else { continue }
            for case let name as String in names where name.hasSuffix(".js") {
                let path = "\(folder)/\(part)/\(name)"
                let kind = try? FileManager.default.attributesOfItem(atPath: path)
                guard kind?[.type] as? FileAttributeType == .typeRegular,
                    let size = kind?[.size] as? Int, size <= Self.maximumFileBytes, found.count < Self.maximumFiles,
                    let content = try? Data(contentsOf: URL(filePath: path))
                else { continue }
                found["\(part)/\(name)"] = [UInt8](content)
            }
        }
        return found
    }
}
