import Foundation

/// The work tree that this test was compiled from.
enum Repository {
    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let folders = [
        ".ci", "Benchmarks", "Examples", "Sources", "Tests", "docs", "packaging", "scripts",
    ]

    /// All text files of the project, sorted by path; build products are left out.
    static let files: [RepositoryFile] = {
        var paths = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        paths = paths.filter { !isFolder($0) }
        for folder in folders {
            let walk = FileManager.default.enumerator(atPath: root.appendingPathComponent(folder).path)
            while let path = walk?.nextObject() as? String {
                if path.split(separator: "/").contains(where: { $0.hasPrefix(".build") }) {
                    walk?.skipDescendants()
                } else if !isFolder("\(folder)/\(path)") {
                    paths.append("\(folder)/\(path)")
                }
            }
        }
        return paths.sorted().compactMap { path in
            guard let data = FileManager.default.contents(atPath: root.appendingPathComponent(path).path),
                let text = String(data: data, encoding: .utf8)
            else { return nil }
            return RepositoryFile(path: path, text: text)
        }
    }()

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        let full = root.appendingPathComponent(path).path
        return FileManager.default.fileExists(atPath: full, isDirectory: &isFolder) && isFolder.boolValue
    }
}
