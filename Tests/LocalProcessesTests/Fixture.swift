import CloudModel
import CloudPorts
import Foundation
import Glibc
import LocalProcesses
import Logging
import Testing

/// A driver on a data directory of its own; ends everything and removes the directory at the end.
final class Fixture: Sendable {
    let directory: String
    let driver: LocalProcessDriver
    let exits: ExitRecorder

    init(directory: String? = nil, settings: LocalProcessDriver.Settings = .init()) throws {
        self.directory = try directory ?? Self.makeDirectory()
        driver = try LocalProcessDriver(
            dataDirectory: self.directory, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            settings: settings)
        exits = ExitRecorder(driver.exits)
    }

    static func makeDirectory() throws -> String {
        var template = Array("/tmp/local-processes-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemFailure("make", "/tmp") }
        return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Ends what is left of the cloud, as an adoption of nothing does.
    func tearDown() async {
        for (instance, incarnation) in driver.incarnations {
            await driver.stop(instance, incarnation: incarnation, grace: .zero)
        }
        _ = try? await eventually("nothing runs") { await self.driver.running().isEmpty }
        _ = await driver.adopt([], services: [])
        await driver.close()
        try? FileManager.default.removeItem(atPath: directory)
    }

    static func service(
        _ command: [String], id: ServiceID = "web", environment: [String: String] = [:],
        workingDirectory: String? = nil, outputLimit: ByteCount = .mebibytes(10), limits: ResourceLimits = .init()
    ) -> CloudService {
        CloudService(
            id: id, routes: [Route()],
            instances: .process(
                ProcessTemplate(
                    command: command, environment: environment, workingDirectory: workingDirectory,
                    outputLimit: outputLimit, limits: limits)))
    }

    static func shell(_ script: String, limits: ResourceLimits = .init()) -> CloudService {
        service(["/bin/sh", "-c", script, "shell", "{port}", "{instance}", "{service}"], limits: limits)
    }

    @discardableResult
    func start(_ instance: InstanceID, _ incarnation: Int = 1, _ service: CloudService) async throws -> Int32 {
        let started = try await driver.start(instance, incarnation: incarnation, of: service)
        return try #require(started.handle).processID
    }

    func output(of instance: InstanceID) -> String {
        (try? String(contentsOfFile: driver.outputPath(of: instance), encoding: .utf8)) ?? ""
    }

    /// Waits until the instance has written the text, and gives back all that it has written.
    @discardableResult
    func output(of instance: InstanceID, having text: String) async throws -> String {
        try await eventually("\(instance) writes \(text)") { self.output(of: instance).contains(text) }
        return output(of: instance)
    }
}

struct NotInTime: Error, CustomStringConvertible {
    var description: String
}

/// Asks again until the condition holds; throws when it does not for ten seconds.
func eventually(
    _ what: String, within limit: Duration = .seconds(10), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while true {
        if try await condition() { return }
        guard ContinuousClock.now < deadline else { throw NotInTime(description: "not in \(limit): \(what)") }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// Collects the exits that a driver reports, with the time of each.
actor ExitRecorder {
    private(set) var all: [(exit: InstanceExit, at: ContinuousClock.Instant)] = []

    init(_ stream: AsyncStream<InstanceExit>) {
        Task { for await exit in stream { await self.add(exit, at: .now) } }
    }

    private func add(_ exit: InstanceExit, at time: ContinuousClock.Instant) { all.append((exit, time)) }

    func count(of instance: InstanceID) -> Int { all.filter { $0.exit.instance == instance }.count }

    func find(_ instance: InstanceID, _ incarnation: Int) -> (exit: InstanceExit, at: ContinuousClock.Instant)? {
        all.first { $0.exit.instance == instance && $0.exit.incarnation == incarnation }
    }

    nonisolated func first(
        _ instance: InstanceID, _ incarnation: Int = 1
    ) async throws -> (exit: InstanceExit, at: ContinuousClock.Instant) {
        try await eventually("\(instance) ends") { await self.find(instance, incarnation) != nil }
        return await find(instance, incarnation)!
    }
}

func isAlive(_ processID: Int32) -> Bool { ProcessTable.status(of: processID).map { !$0.hasEnded } ?? false }

/// Takes leave of a child that its own driver did not see end: what is left of it keeps the runner's thread that waits
/// for children busy for the rest of the run.
func reap(_ processID: Int32) {
    var status: Int32 = 0
    waitpid(processID, &status, 0)
}

/// All tests of the driver one after another: they look at the machine's processes.
@Suite(.serialized) enum DriverTests {}
