import CloudModel
import CloudPorts
import Foundation
import Glibc
import LocalProcesses
import Testing

extension DriverTests {
    @Suite struct Adoption {
        private static func known(
            _ id: InstanceID, incarnation: Int = 1, phase: InstancePhase = .running, handle: InstanceHandle? = nil,
            endpoint: Endpoint? = nil
        ) -> ServiceInstance {
            ServiceInstance(
                id: id, service: "web", phase: phase, incarnation: incarnation, endpoint: endpoint, handle: handle,
                requestedAt: .epoch)
        }

        /// Starts three instances in a process that is then killed, as a control plane may be.
        private static func startInAKilledProcess(_ directory: String) async {
            await #expect(processExitsWith: .signal(SIGKILL)) { [directory = directory as String] in
                let fixture = try Fixture(directory: directory)
                for number in 1...3 {
                    try await fixture.start(InstanceID("web-\(number)"), number, Fixture.shell("echo up; sleep 1000"))
                    try await fixture.output(of: InstanceID("web-\(number)"), having: "up")
                }
                kill(getpid(), SIGKILL)
            }
        }

        @Test func takesOverWhatIsKnownAndEndsTheRest() async throws {
            let directory = try Fixture.makeDirectory()
            await Self.startInAKilledProcess(directory)
            let fixture = try Fixture(directory: directory)
            let before = ProcessTable.marked(cloud: fixture.driver.cloud)
            let leaders = before.filter { $0.status.session == $0.status.processID }
            #expect(leaders.map(\.marker.instance) == ["web-1", "web-2", "web-3"])
            let first = try #require(leaders.first)

            // The first was recorded with its handle, the second only as intended, the third not at all.
            let adopted = await fixture.driver.adopt(
                [
                    Self.known(
                        "web-1",
                        handle: InstanceHandle(
                            processID: first.status.processID, startTicks: first.status.startTicks)),
                    Self.known("web-2", incarnation: 2, phase: .starting),
                    Self.known("web-4"),
                ], services: [Fixture.shell("sleep 1000")])

            #expect(Set(adopted.keys) == ["web-1", "web-2"])
            for leader in leaders.prefix(2) {
                let started = try #require(adopted[leader.marker.instance])
                #expect(started.endpoint == Endpoint(address: "127.0.0.1", port: leader.marker.port))
                #expect(
                    started.handle
                        == InstanceHandle(processID: leader.status.processID, startTicks: leader.status.startTicks))
                #expect(isAlive(leader.status.processID))
            }
            #expect(await fixture.driver.running() == ["web-1", "web-2"])
            #expect(!before.contains { $0.marker.instance == "web-3" && isAlive($0.status.processID) })

            // Taken over is watched over: an end is seen at once, though the process is not our child.
            let killedAt = ContinuousClock.now
            kill(first.status.processID, SIGKILL)
            let end = try await fixture.exits.first("web-1")
            #expect(end.exit == InstanceExit(instance: "web-1", incarnation: 1))
            #expect(end.at - killedAt < .seconds(1))
            await fixture.driver.stop("web-2", incarnation: 2, grace: .seconds(5))
            _ = try await fixture.exits.first("web-2", 2)
            try await eventually("nothing is left") { ProcessTable.marked(cloud: fixture.driver.cloud).isEmpty }
            await fixture.tearDown()
        }

        @Test func aLaterStartOfATakenOverInstanceGivesItBack() async throws {
            let directory = try Fixture.makeDirectory()
            await Self.startInAKilledProcess(directory)
            let fixture = try Fixture(directory: directory)
            let service = Fixture.shell("sleep 1000")
            let adopted = await fixture.driver.adopt([Self.known("web-1")], services: [service])
            let started = try await fixture.driver.start("web-1", incarnation: 1, of: service)
            #expect(adopted["web-1"] == started)
            let again = await fixture.driver.adopt([Self.known("web-1")], services: [service])
            #expect(again == adopted)
            await fixture.tearDown()
        }

        @Test func aHandleOfAnotherProcessIsNotBelieved() async throws {
            let directory = try Fixture.makeDirectory()
            await Self.startInAKilledProcess(directory)
            let fixture = try Fixture(directory: directory)
            let bystander = try Bystander(environment: [:])
            let status = try #require(ProcessTable.status(of: bystander.processID))
            let adopted = await fixture.driver.adopt(
                [
                    // Right number, other start.
                    Self.known("web-7", handle: InstanceHandle(processID: status.processID, startTicks: 1)),
                    // Right number and start, but it shows an environment that is not ours.
                    Self.known(
                        "web-8",
                        handle: InstanceHandle(processID: status.processID, startTicks: status.startTicks),
                        endpoint: Endpoint(address: "127.0.0.1", port: 1)),
                    // Of an earlier incarnation than the one that is wanted.
                    Self.known("web-1", incarnation: 2),
                ], services: [])
            #expect(adopted.isEmpty)
            #expect(bystander.isRunning)
            #expect(ProcessTable.marked(cloud: fixture.driver.cloud).isEmpty)
            bystander.end()
            await fixture.tearDown()
        }

        @Test func endsOneThatShowsItsMarkerOnlyLater() async throws {
            let fixture = try Fixture()
            _ = await fixture.driver.adopt([], services: [])
            // As one whose exec was under way when the control plane was killed.
            let late = try Bystander(
                InstanceMarker(cloud: fixture.driver.cloud, instance: "web-1", incarnation: 1, service: "web", port: 1))
            try await eventually("it is ended") { !late.isRunning }
            await fixture.tearDown()
        }

        @Test func leavesOtherCloudsAlone() async throws {
            let fixture = try Fixture()
            let marker = InstanceMarker(
                cloud: fixture.driver.cloud + "0", instance: "web-1", incarnation: 1, service: "web", port: 1)
            let other = try Bystander(marker)
            let own = try Bystander(
                InstanceMarker(cloud: fixture.driver.cloud, instance: "web-1", incarnation: 1, service: "web", port: 1))
            _ = await fixture.driver.adopt([], services: [])
            #expect(other.isRunning)
            try await eventually("ours is ended") { !own.isRunning }
            other.end()
            await fixture.tearDown()
        }

        @Test func aCopyOfTheDataDirectoryIsAnotherCloud() async throws {
            let fixture = try Fixture()
            let process = try await fixture.start("web-1", 1, Fixture.service(["sleep", "1000"]))
            let copy = fixture.directory + "-copy"
            try FileManager.default.copyItem(atPath: fixture.directory, toPath: copy)
            let second = try Fixture(directory: copy)
            #expect(second.driver.cloud != fixture.driver.cloud)
            _ = await second.driver.adopt([], services: [])
            #expect(isAlive(process))
            await second.tearDown()
            await fixture.tearDown()
        }

        @Test func believesNoHandleFromBeforeABoot() async throws {
            let fixture = try Fixture()
            let started = try await fixture.driver.start(
                "web-1", incarnation: 1, of: Fixture.shell("echo up; sleep 1000"))
            try await fixture.output(of: "web-1", having: "up\n")
            await fixture.driver.close()
            try "another boot".write(
                toFile: fixture.directory + "/instances/boot", atomically: true, encoding: .utf8)
            let second = try Fixture(directory: fixture.directory)
            let adopted = await second.driver.adopt(
                [Self.known("web-1", handle: started.handle, endpoint: started.endpoint)], services: [])
            #expect(adopted.isEmpty)
            await second.tearDown()
            reap(try #require(started.handle).processID)
        }

        @Test func instancesOutliveAClosedDriver() async throws {
            let fixture = try Fixture()
            let service = Fixture.shell("echo up; sleep 1000")
            let process = try await fixture.start("web-1", 1, service)
            try await fixture.output(of: "web-1", having: "up\n")
            await fixture.driver.close()
            #expect(isAlive(process))
            await #expect(throws: InstanceDriverError.self) {
                try await fixture.driver.start("web-2", incarnation: 1, of: service)
            }
            let second = try Fixture(directory: fixture.directory)
            let adopted = await second.driver.adopt([Self.known("web-1")], services: [service])
            #expect(adopted["web-1"]?.handle?.processID == process)
            await second.tearDown()
            reap(process)
        }
    }
}

/// A process that no driver started.
final class Bystander {
    private let process = Process()

    var processID: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    init(environment: [String: String]) throws {
        process.executableURL = URL(fileURLWithPath: "/bin/sleep")
        process.arguments = ["1000"]
        process.environment = environment.merging(["PATH": "/bin"]) { $1 }
        try process.run()
    }

    convenience init(_ marker: InstanceMarker) throws {
        let pairs = marker.environment.map { entry in
            (String(entry.prefix { $0 != "=" }), String(entry.drop { $0 != "=" }.dropFirst()))
        }
        try self.init(environment: Dictionary(uniqueKeysWithValues: pairs))
    }

    /// By the signal that cannot be blocked, which Foundation's children inherit from its threads.
    func end() {
        kill(processID, SIGKILL)
        process.waitUntilExit()
    }
}
