import Foundation
import Glibc
import Scenarios
import Testing

/// Debian's `chromium`, or another browser of that family.
private enum Chromium {
    static let isInstalled = ["chromium", "chromium-browser", "google-chrome"].contains { name in
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            access("\($0)/\(name)", X_OK) == 0
        }
    }
}

extension Scenarios {
    /// The web console in a real browser: `Tests/Browser/console_tests.py` does the work, and leaves its pictures in
    /// `.build/screenshots`.
    @Suite struct Console {
        private struct Surroundings: Codable {
            var administration: String
            var gateway: String
            var token: String
            var keys: [String: String]
            var screenshots: String
        }

        private static let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

        @Test(
            "the console: first login, S1, a failover, a failed login, both languages, a small screen",
            .enabled(if: Chromium.isInstalled, "there is no browser; run scripts/install-prerequisites --browser"),
            .timeLimit(.minutes(5))
        )
        func inBrowser() async throws {
            try await ScenarioPlatform.run { context in
                let directory = context.platform.directory
                let file = directory.appendingPathComponent("surroundings.json")
                let surroundings = Surroundings(
                    administration: context.platform.announcement.administration,
                    gateway: context.platform.announcement.gateway[0], token: context.platform.administratorToken,
                    keys: context.keys, screenshots: Self.root.appendingPathComponent(".build/screenshots").path)
                try JSONEncoder().encode(surroundings).write(to: file)
                let output = directory.appendingPathComponent("browser.log")
                let status = try await Self.run(file, output: output)
                let text = (try? String(contentsOf: output, encoding: .utf8)) ?? ""
                #expect(status == 0 && text.hasSuffix(" passed\n"), "\(text)")
            }
        }

        private static func run(_ surroundings: URL, output: URL) async throws -> Int32 {
            _ = FileManager.default.createFile(atPath: output.path, contents: nil)
            let log = try FileHandle(forWritingTo: output)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "timeout", "--kill-after=10", "240", "python3", "-B",
                root.appendingPathComponent("Tests/Browser/console_tests.py").path, surroundings.path,
            ]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = log
            process.standardError = log
            return try await withCheckedThrowingContinuation { continuation in
                process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
                do { try process.run() } catch { continuation.resume(throwing: error) }
            }
        }
    }
}
