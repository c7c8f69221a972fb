import AdministrationClient
import CloudModel
import ConfigurationFile
import Foundation
import Scenarios
import Testing

/// All scenarios, one after another: each has the machine's cores to itself.
@Suite(.serialized) enum Scenarios {}

/// A platform of a test's own: real processes and sockets in a temporary directory.
struct ScenarioPlatform {
    let directory: URL
    let configuration: URL
    var dataDirectory: String { directory.appendingPathComponent("data").path }

    /// Makes the directory and the configuration; `change` may change the scenarios' cloud.
    init(_ change: (inout ConfigurationDocument) -> Void = { _ in }) throws {
        directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("cloudwright-scenario-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        configuration = directory.appendingPathComponent("cloud.yaml")
        var document = ScenarioCloud.document(sampleService: Programs.sampleService.path, dataDirectory: dataDirectory)
        change(&document)
        try ScenarioCloud.write(document, to: configuration)
    }

    func start(environment: [String: String] = [:]) async throws -> PlatformProcess {
        try await PlatformProcess.start(
            binary: Programs.cloudwright, configuration: configuration, directory: directory, environment: environment)
    }

    /// Runs the body on a started platform, and stops and removes it whatever happens.
    static func run(
        _ change: (inout ConfigurationDocument) -> Void = { _ in },
        _ body: (ScenarioContext) async throws -> Void
    ) async throws {
        let own = try ScenarioPlatform(change)
        let platform = try await own.start()
        do {
            try await body(try await ScenarioContext(platform: platform))
        } catch {
            await platform.stop()
            try? FileManager.default.removeItem(at: own.directory)
            throw error
        }
        #expect(await platform.stop() == 0, "an orderly end")
        try FileManager.default.removeItem(at: own.directory)
    }
}

/// The programs beside the test runner, where the build puts them.
enum Programs {
    static let cloudwright = beside("cloudwright")
    static let sampleService = beside("sample-service")

    private static func beside(_ name: String) -> URL {
        URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent(name)
    }
}

extension ScenarioContext {
    /// The number of responses in a load client's journal, each of which has one usage record of the service `shop`.
    func recordedResponses(
        in journal: URL, since began: Timestamp, within limit: Duration = .seconds(20)
    ) async throws -> Int {
        let text = (try? String(contentsOf: journal, encoding: .utf8)) ?? ""
        let ids = text.split(separator: "\n").compactMap { $0.split(separator: "\t").first.map(String.init) }
        var filter = UsageFilter()
        filter.service = "shop"
        filter.from = began.rfc3339
        let answered = Set(ids)
        let stored = try await eventually("the records of \(ids.count) responses", within: limit) {
            let found = try await administration.usageRecords(filter, limit: 1_000).map(\.requestID)
            return answered.isSubset(of: found) ? found : nil
        }
        #expect(Set(stored).count == stored.count, "no record twice")
        #expect(answered.count == ids.count, "no response twice")
        return ids.count
    }
}
