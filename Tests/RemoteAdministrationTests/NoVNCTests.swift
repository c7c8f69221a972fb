import Foundation
import RemoteAdministration
import Testing

/// noVNC's modules from a folder as its Debian package makes it.
@Suite struct NoVNCTests {
    @Test("modules are served, what leads out of the folder is not, and a package that comes later is found")
    func modules() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "novnc-\(UUID().uuidString)")
        let files = NoVNCFiles(folder: root.path)
        #expect(files.file("core/rfb.js") == nil)
        let core = root.appending(path: "core/util")
        try FileManager.default.createDirectory(at: core, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: root) }
        try Data("one".utf8).write(to: root.appending(path: "core/rfb.js"))
        try Data("two".utf8).write(to: core.appending(path: "browser.js"))
        try Data("no".utf8).write(to: root.appending(path: "secret.js"))
        try Data("no".utf8).write(to: root.appending(path: "core/page.html"))
        try FileManager.default.createSymbolicLink(
            at: root.appending(path: "core/link.js"), withDestinationURL: root.appending(path: "secret.js"))
        #expect(files.file("core/rfb.js") == Array("one".utf8))
        #expect(files.file("core/util/browser.js") == Array("two".utf8))
        for name in ["secret.js", "core/../secret.js", "core/page.html", "core/link.js", "/etc/passwd", ""] {
            #expect(files.file(name) == nil, "\(name)")
        }
    }
}
