import Foundation
import Glibc
import Testing

/// Debian's `chromium`, or another browser of that family.
private enum InstalledBrowser {
    static let isThere = ["chromium", "chromium-browser", "google-chrome"].contains { name in
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            access("\($0)/\(name)", X_OK) == 0
        }
    }
}

/// The web console in a real browser over real hypervisors: `Tests/Browser/lab_tests.py` does the work, and leaves its
/// pictures in `.build/screenshots`.
@Suite(
    .serialized, .lab(hosts: 2), .timeLimit(.minutes(6)),
    .enabled(if: Lab.obstacle == nil, Comment(rawValue: Lab.obstacle ?? "")),
    .enabled(if: InstalledBrowser.isThere, "there is no browser; run scripts/install-prerequisites --browser"))
struct LabBrowserTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        .standardizedFileURL

    private struct Surroundings: Encodable {
        var administration: String
        var gateway: String
        var token: String
        var keys: [String: String] = [:]
        var screenshots: String
    }

    @Test(
        "a guest's console in the page, and a host drained while the page watches",
        .enabled(if: ServedCloud.isBuilt, "the program is not built"))
    func watched() async throws {
        try await ServedCloud.run(hosts: 2, address: "10.77.0.180") { cloud in
            let surroundings = Surroundings(
                administration: cloud.administration, gateway: cloud.gateway, token: cloud.token,
                screenshots: Self.root.appending(path: ".build/screenshots").path)
            let file = cloud.folder.appending(path: "surroundings.json")
            try JSONEncoder().encode(surroundings).write(to: file)
            let log = cloud.folder.appending(path: "browser.log")
            let browser = try ServedCloud.process(
                "/usr/bin/env",
                [
                    "timeout", "--kill-after=10", "280", "python3", "-B",
                    Self.root.appending(path: "Tests/Browser/lab_tests.py").path, file.path,
                ], output: log)
            let status: Int32 = try await withCheckedThrowingContinuation { continuation in
                browser.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
                do { try browser.run() } catch { continuation.resume(throwing: error) }
            }
            let said = ServedCloud.text(log)
            #expect(status == 0 && said.hasSuffix(" passed\n"), "\(said)")
        }
    }
}
