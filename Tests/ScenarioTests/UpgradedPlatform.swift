import AdministrationClient
import Foundation
import Glibc
import Scenarios

/// A platform whose program is replaced and upgraded while it runs: the process changes, its addresses do not.
struct UpgradedPlatform {
    let own: ScenarioPlatform
    /// The program as it is on disk, which a test may replace.
    let program: URL
    /// The process that was started first.
    let first: PlatformProcess

    init(_ own: ScenarioPlatform) async throws {
        self.own = own
        program = own.directory.appendingPathComponent("cloudwright")
        try FileManager.default.createSymbolicLink(at: program, withDestinationURL: Programs.cloudwright)
        first = try await PlatformProcess.start(
            binary: program, configuration: own.configuration, directory: own.directory)
    }

    struct Announced: Decodable {
        struct Refusal: Decodable, Equatable {
            var reason: String
            var at: Double
        }

        var processID: Int32
        var gateway: [String]
        var administration: String
        var refusedUpgrade: Refusal?
    }

    var announced: Announced {
        get throws {
            try JSONDecoder().decode(
                Announced.self, from: Data(contentsOf: own.directory.appendingPathComponent("announce.json")))
        }
    }

    /// Asks the process that serves to hand over, and returns once another one serves.
    func upgrade(_ context: ScenarioContext) async throws -> Announced {
        let former = try announced
        kill(former.processID, SIGUSR2)
        return try await context.eventually("another process serves", within: .seconds(60)) {
            let now = try announced
            if let refusal = now.refusedUpgrade, refusal != former.refusedUpgrade {
                throw ScenarioFailure("refused: \(refusal.reason)")
            }
            return now.processID != former.processID ? now : nil
        }
    }

    /// Whether the process is there and has not ended.
    static func isRunning(_ process: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
            let name = text.lastIndex(of: ")")
        else { return false }
        return text[name...].dropFirst(2).first != "Z"
    }

    /// Ends the process that serves, in good order.
    func stop(_ context: ScenarioContext) async throws {
        let last = try announced.processID
        kill(last, SIGTERM)
        _ = try await context.eventually("the last process ends", within: .seconds(60)) {
            Self.isRunning(last) ? nil : true
        }
    }

    var log: String {
        (try? String(contentsOf: own.directory.appendingPathComponent("serve.log"), encoding: .utf8)) ?? ""
    }
}

/// One run of another program, whose output is kept.
enum OtherProgram {
    static func run(_ path: String, _ arguments: [String]) async throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("output-\(UUID().uuidString)")
        _ = FileManager.default.createFile(atPath: file.path, contents: nil)
        defer { try? FileManager.default.removeItem(at: file) }
        process.standardOutput = try FileHandle(forWritingTo: file)
        let status = try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Int32, any Error>) in
            process.terminationHandler = { ended.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { ended.resume(throwing: error) }
        }
        return (status, String(decoding: try Data(contentsOf: file), as: UTF8.self))
    }
}
